"""What `import striate` brings in, and what it does not."""

import subprocess
import sys

import pytest
import striate

OPTIONAL = ["tqdm", "click", "pooch", "matplotlib", "PIL", "torch"]


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_is_lazy() -> None:
    code = f"import sys, striate; print([m for m in {OPTIONAL} if m in sys.modules])"
    assert run(code) == "[]"


def test_import_leaves_submodules_until_they_are_used() -> None:
    code = "import sys, striate; print('striate.models' in sys.modules)"
    assert run(code) == "False"


def test_training_without_a_bar_needs_no_optional_package() -> None:
    code = (
        "import sys, numpy as np, striate\n"
        "m = striate.Sequential([striate.Input((3,)), striate.layers.Dense(2)])\n"
        "m.compile('sgd', 'mse')\n"
        "m.fit(np.zeros((4, 3)), np.zeros((4, 2)), verbose=0)\n"
        f"print([m for m in {OPTIONAL} if m in sys.modules])"
    )
    assert run(code) == "[]"


@pytest.mark.parametrize("name", striate.__all__)
def test_every_public_name_exists(name: str) -> None:
    assert getattr(striate, name) is not None
    assert name in dir(striate)


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Sequentail'"):
        striate.Sequentail  # noqa: B018


def test_global_numpy_state_is_untouched_by_import() -> None:
    code = (
        "import numpy as np; np.random.seed(3); a = np.random.get_state()[1][:5].tolist()\n"
        "import striate; striate.models\n"
        "print(a == np.random.get_state()[1][:5].tolist())"
    )
    assert run(code) == "True"


def test_show_config_says_what_runs() -> None:
    lines: list[str] = []
    striate.show_config(print_fn=lines.append)
    assert any(line.startswith("instruction set") for line in lines)
    assert any(line.startswith("threads") for line in lines)


def test_version_is_one() -> None:
    assert striate.__version__ == striate._core.__version__
