"""The subcommands of compare.py, a module each: PEERS, add_arguments(parser) and run(arguments)."""
