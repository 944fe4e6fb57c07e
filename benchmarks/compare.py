"""striate and its peers, measured in turn in one run: a table, and JSON.

    python benchmarks/compare.py lenet5      LeNet-5: training, inference, one image
    python benchmarks/compare.py layers      every layer shape of five networks, each pass apart
    python benchmarks/compare.py deepnets    ResNet-50, GoogLeNet, AlexNet, VGG-16
    python benchmarks/compare.py startup     import time and memory
    python benchmarks/compare.py scaling     threads, batch, image size, depth

Each takes --help, --quick (to try it out: figures mean nothing), --rounds, --threads, --peers,
--python PEER=PYTHON and --json FILE. Peers that are not installed are named and left out.
"""

import argparse

import harness
import report
from comparison import Effort
from suites import deepnets, layers, lenet5, scaling, startup

SUITES = {
    "lenet5": lenet5,
    "layers": layers,
    "deepnets": deepnets,
    "startup": startup,
    "scaling": scaling,
}


def names(text: str) -> list[str]:
    return text.split(",")


def add_common(parser: argparse.ArgumentParser, peers: tuple[str, ...]) -> None:
    parser.add_argument(
        "--peers", type=names, default=list(peers), help=f"default: {','.join(peers)}"
    )
    parser.add_argument("--rounds", type=int, help="medians are shown (default: 5; quick: 2)")
    parser.add_argument(
        "--seconds", type=float, help="a sample takes about so long (default: 1; quick: 0.02)"
    )
    harness.add_arguments(parser)
    parser.add_argument("--quick", action="store_true", help="few rounds, small batches")


def effort_of(arguments: argparse.Namespace) -> Effort:
    usual = Effort(2, 0.02, 1) if arguments.quick else Effort()
    rounds = usual.rounds if arguments.rounds is None else arguments.rounds
    seconds = usual.seconds if arguments.seconds is None else arguments.seconds
    if rounds < 1:
        raise SystemExit("--rounds is at least 1")
    return Effort(rounds, seconds, usual.trials)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="suite", required=True)
    for name, suite in SUITES.items():
        description = suite.__doc__ or ""
        command = commands.add_parser(
            name,
            help=description.splitlines()[0],
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_common(command, suite.PEERS)
        suite.add_arguments(command)
    arguments = parser.parse_args()
    arguments.effort = effort_of(arguments)
    content = SUITES[arguments.suite].run(arguments)
    if arguments.json:
        report.write_json(arguments.json, {"benchmark": arguments.suite, **content})


if __name__ == "__main__":
    main()
