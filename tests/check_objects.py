#!/usr/bin/env python3
"""Checks the object files against the ODR rule (csrc/README.md).

A per-ISA object exports its kernel table and nothing else: a weak symbol in it (an inline function
of the STL, say) could replace the baseline's copy at link time and kill old CPUs. It has no static
constructors, which would run on any CPU. No other object holds AVX instructions.

    python tests/check_objects.py build            every .o below a build folder
    python tests/check_objects.py a.o b.o
"""

import re
import subprocess
import sys
from pathlib import Path

ISA_OBJECT = re.compile(r"isa_(\w+?)(\.cpp)?\.o$")
OTHER_OBJECT = re.compile(r"/(striate|_core)\.dir/")
# Baseline per-ISA objects are per-ISA objects too, but must not hold AVX either.
NO_AVX = {"baseline"}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def symbol_errors(path):
    """Weak or unique symbols, and anything exported beside one table."""
    errors, exported = [], []
    for line in run("nm", "-C", str(path)).splitlines():
        kind, name = line[17:].split(" ", 1)
        if kind in "WwVvu":
            errors.append(f"{path}: weak symbol {name}")
        elif kind.isupper() and kind != "U":
            exported.append(name)
    if len(exported) != 1 or not exported[0].endswith("::kTable"):
        errors.append(f"{path}: exports {exported or 'nothing'}, expected one kTable")
    return errors


def constructor_errors(path):
    sections = run("objdump", "-h", str(path))
    found = re.findall(r"\.(?:init_array|ctors)\S*", sections)
    return [f"{path}: has static constructors ({name})" for name in found]


def avx_errors(path):
    errors, function = [], "?"
    for line in run("objdump", "-dC", "--no-show-raw-insn", str(path)).splitlines():
        if line.endswith(">:"):
            function = line[line.index("<") + 1 : -2]
        elif re.search(r"%[yz]mm|%xmm(1[6-9]|2\d|3[01])|\sv[a-z0-9]+\s.*%xmm", line):
            error = f"{path}: AVX in {function}"
            if error not in errors:
                errors.append(error)
    return errors


def check(path):
    isa = ISA_OBJECT.search(path.name)
    errors = []
    if isa:
        errors += symbol_errors(path) + constructor_errors(path)
    if not isa or isa.group(1) in NO_AVX:
        errors += avx_errors(path)
    return errors


def objects(arguments):
    for argument in map(Path, arguments):
        if argument.is_dir():
            found = sorted(argument.rglob("*.o"))
            yield from (
                o for o in found if ISA_OBJECT.search(o.name) or OTHER_OBJECT.search(str(o))
            )
        else:
            yield argument


def main(arguments):
    paths = list(objects(arguments))
    kernels = [p for p in paths if ISA_OBJECT.search(p.name)]
    if not kernels:
        print(f"check_objects: no isa_*.o in {' '.join(arguments) or 'no arguments'}")
        return 2
    errors = [error for path in paths for error in check(path)]
    print(
        "\n".join(
            errors + [f"{len(paths)} objects, {len(kernels)} of kernels: {len(errors)} errors"]
        )
    )
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
