"""`python -m striate`: the command line."""

from striate.cli import main

if __name__ == "__main__":
    main()
