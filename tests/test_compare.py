"""benchmarks/compare.py runs, with striate as the only peer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "compare.py"


def compare(*arguments: object) -> str:
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("suite", ["lenet5", "layers", "deepnets", "startup", "scaling"])
def test_help(suite: str) -> None:
    assert suite in compare("--help")
    assert "--rounds" in compare(suite, "--help")


def test_quick_run_writes_what_it_measured(tmp_path: Path) -> None:
    file = tmp_path / "lenet5.json"
    printed = compare(
        "lenet5", "--quick", "--peers", "striate", "--threads", 1, "--data", "synthetic",
        "--images", 512, "--json", file,
    )  # fmt: skip
    assert "of FMA limit" in printed
    written = json.loads(file.read_text())
    assert {row["what"] for row in written["rows"]} == {"training", "inference"}
    assert all(row["samples_per_second"] > 0 for row in written["rows"])
    assert written["machine"]["command"].endswith(str(file))
