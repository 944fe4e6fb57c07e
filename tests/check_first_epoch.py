"""`.ci/run`'s last check: one epoch of LeNet-5 learned, and C++ ended with Python's bits.

Usage: check_first_epoch.py RUN_FOLDER NATIVE_OUTPUT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FLOOR = 0.975  # one epoch gives 98.6 to 98.9 %; a broken kernel or schedule falls far below


def main(run: Path, native: Path) -> int:
    import striate

    result = json.loads((run / "result.json").read_text())
    accuracy = float(result["accuracy"])
    lines = dict(line.rsplit(" ", 1) for line in native.read_text().splitlines() if " " in line)
    model = striate.load_model(run / "model.safetensors")
    python_hash = model.network.weights_hash()
    print(f"test accuracy {accuracy:.4f} (floor {FLOOR}), weights {python_hash}")
    if accuracy < FLOOR:
        print("below the floor", file=sys.stderr)
        return 1
    if lines["weights"] != python_hash:
        print(f"C++ ended with weights {lines['weights']}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2])))
