"""What the environment and a fork do to the core, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from striate import _core

HERE = Path(__file__).parent


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, *arguments], env=env, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def printed(code: str, **environment: str) -> str:
    done = python("-c", f"from striate import _core; {code}", **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_fork_after_training_trains_on() -> None:
    done = python(str(HERE / "fork_after_training.py"))
    assert done.stdout.strip() == "same", done.stdout + done.stderr
    warnings = done.stderr.count("forked after threads were started")
    assert warnings == (0 if _core.parallel_backend() == "serial" else 1), done.stderr


def test_a_fork_before_any_training_is_as_good_as_new() -> None:
    code = """
import os
from fork_after_training import ready, train_and_predict
_core.set_num_threads(2)
child = os.fork()
if child == 0:
    train_and_predict(ready(1))
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    done = python("-c", f"from striate import _core\n{code}", PYTHONPATH=path)
    assert done.stdout.strip() == "7", done.stderr
    assert "forked" not in done.stderr


@pytest.mark.parametrize("isa", _core.available_isas())
def test_the_isa_can_be_chosen(isa: str) -> None:
    assert printed("print(_core.isa())", STRIATE_ISA=isa) == isa


def test_no_isa_or_an_empty_one_is_the_best() -> None:
    assert printed("print(_core.isa())", STRIATE_ISA="") == _core.available_isas()[-1]


@pytest.mark.parametrize("name", ["sse9", "AVX2", "avx2 ", "native"])
def test_an_unknown_isa_fails_loudly(name: str) -> None:
    code = """
from striate import _core
for use in (_core.isa, lambda: _core.Network(g, g.dense(g.input((2,)), name="d", units=1))):
    g = _core.Graph()
    try:
        use()
    except ValueError as error:
        print(type(error).__name__, error)
"""
    done = python("-c", code, STRIATE_ISA=name)
    lines = done.stdout.splitlines()
    assert len(lines) == 2, done.stdout + done.stderr
    for line in lines:
        assert line.startswith(f'ArgumentError STRIATE_ISA is "{name}"; expected one of')
        assert ", ".join(_core.available_isas()) in line


@pytest.mark.parametrize("bad", ["many", "0", "-2", "1.5", "2,2"])
def test_a_malformed_thread_count_is_ignored_and_the_reason_says_so(bad: str) -> None:
    text = printed(
        "print(_core.num_threads(), _core.thread_reason())",
        STRIATE_NUM_THREADS=bad,
        OMP_NUM_THREADS="1",
    )
    assert text.startswith("1 1: affinity mask ")
    assert f'STRIATE_NUM_THREADS="{bad}" ignored (not a positive integer)' in text
    assert text.endswith("OMP_NUM_THREADS=1")


def test_the_striate_variable_goes_before_openmps() -> None:
    reason = printed("print(_core.thread_reason())", STRIATE_NUM_THREADS="1", OMP_NUM_THREADS="64")
    assert reason.startswith("1: ") and "STRIATE_NUM_THREADS=1" in reason
    assert "OMP_NUM_THREADS" not in reason
