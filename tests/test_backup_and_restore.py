"""Training that was interrupted goes on to the same bits, or says why it cannot."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import train_and_resume
from small_fits import X, Y, batches, classifier
from striate import Input, Sequential, layers, set_random_seed
from striate.augment import AugmentedArrays
from striate.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from striate.errors import ArgumentError, FormatError, StriateWarning
from striate.models import checkpoint
from striate.optimizers import SGD
from striate.schedules import OneCycle, StepDecay

HERE = Path(__file__).parent


def in_a_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(HERE / "train_and_resume.py"), *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["sequential", "functional"])
def test_two_and_two_epochs_are_four(kind: str, tmp_path: Path) -> None:
    """Also in another process, on another number of threads, and after a kill."""
    straight = json.loads(in_a_process(kind, tmp_path / "straight", 1).stdout)
    killed = in_a_process(kind, tmp_path / "resumed", 2, 2)
    assert killed.returncode == 9, killed.stderr
    resumed = in_a_process(kind, tmp_path / "resumed", 1)
    assert json.loads(resumed.stdout) == straight, resumed.stderr
    assert len(straight["history"]["val_loss"]) == train_and_resume.EPOCHS
    assert straight["iterations"] == 5 * train_and_resume.EPOCHS
    # All that is kept agrees, not only what comes of it.
    files = [tmp_path / name / "epoch-0004.safetensors" for name in ("straight", "resumed")]
    one, other = (checkpoint.read(path) for path in files)
    assert one.tensors.keys() == other.tensors.keys()
    assert any(name.endswith("/average") for name in one.tensors)
    assert any(name.endswith("/gradient_accumulator") for name in one.tensors)
    assert any(name.startswith("callback/") for name in one.tensors)  # EarlyStopping's best
    for name, tensor in one.tensors.items():
        np.testing.assert_array_equal(tensor, other.tensors[name], err_msg=name)


class Interrupt(Callback):
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        if epoch == self.epoch:
            raise KeyboardInterrupt


def interrupted(folder: Path, model: Sequential, *callbacks: Callback, **options: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(folder, model, Interrupt(2), *callbacks, **options)


def fit(folder: Path, model: Sequential, *callbacks: Callback, **options: Any) -> Any:
    given = {"x": X, "y": Y, "batch_size": 16, "epochs": 4, "verbose": 0, **options}
    return model.fit(callbacks=[*callbacks, BackupAndRestore(folder)], **given)


def test_files_are_kept_and_removed(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "backup"
    interrupted(folder, classifier())
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["epoch-0001.safetensors", "epoch-0002.safetensors"]
    fit(folder, classifier(), epochs=5)
    assert not folder.exists()


def test_only_two_files_are_kept_and_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    backup = BackupAndRestore(tmp_path, delete_checkpoint=False)
    classifier().fit(X, Y, epochs=12, batch_size=50, verbose=0, callbacks=[backup])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["epoch-0011.safetensors", "epoch-0012.safetensors", "notes.txt"]


def test_the_same_process_may_go_on(tmp_path: Path) -> None:
    straight = classifier()
    straight.fit(X, Y, batch_size=16, epochs=4, verbose=0)
    model = classifier()
    interrupted(tmp_path, model)
    history = fit(tmp_path, model)
    assert model.weights_hash() == straight.weights_hash()
    assert history.epoch == [0, 1, 2, 3]


def test_a_resumed_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    """Killed after its last epoch, before the end of fit."""
    backup = BackupAndRestore(tmp_path, delete_checkpoint=False)
    straight = classifier(SGD(0.1, use_ema=True))
    straight.fit(X, Y, epochs=2, verbose=0, callbacks=[backup])
    again = classifier(SGD(0.1, use_ema=True))
    history = again.fit(X, Y, epochs=2, verbose=0, callbacks=[backup])
    assert again.weights_hash() == straight.weights_hash()
    assert len(history.history["loss"]) == 2


def test_a_run_that_stopped_early_stays_stopped(tmp_path: Path) -> None:
    def stopping() -> list[Callback]:
        return [EarlyStopping("loss", patience=1, mode="max", restore_best_weights=True),
                BackupAndRestore(tmp_path, delete_checkpoint=False)]  # fmt: skip

    straight, again = classifier(), classifier()
    straight.fit(X, Y, epochs=9, verbose=0, callbacks=stopping())
    callbacks = stopping()
    history = again.fit(X, Y, epochs=9, verbose=0, callbacks=callbacks)
    assert len(history.epoch) == 2
    assert again.weights_hash() == straight.weights_hash()
    assert callbacks[0].stopped_epoch == 1  # type: ignore[attr-defined]


def test_callbacks_go_on_with_what_they_knew(tmp_path: Path) -> None:
    def run(folder: Path, stop: int | None) -> tuple[Sequential, list[Callback]]:
        folder.mkdir(exist_ok=True)
        model = classifier(SGD(0.2))
        callbacks = [
            ReduceLROnPlateau("loss", patience=1, factor=0.5, mode="max", cooldown=1),
            ModelCheckpoint(folder / "best-{epoch}.safetensors", "loss", save_best_only=True),
            EarlyStopping("loss", patience=7),
            CSVLogger(folder / "log.csv"),
        ]
        extra = [] if stop is None else [Interrupt(stop)]
        try:
            fit(folder / "backup", model, *callbacks, *extra, epochs=6)
        except KeyboardInterrupt:
            assert stop is not None
        return model, callbacks

    straight, one = run(tmp_path / "straight", None)
    run(tmp_path / "resumed", 3)
    # As if the process had died after the row of the epoch, but before its checkpoint.
    with open(tmp_path / "resumed" / "log.csv", "a", encoding="utf-8") as file:
        file.write("3,half a ro")
    resumed, other = run(tmp_path / "resumed", None)
    assert resumed.weights_hash() == straight.weights_hash()
    assert resumed.optimizer.learning_rate == straight.optimizer.learning_rate < 0.2
    for a, b in zip(one, other, strict=True):
        if not isinstance(a, CSVLogger):  # whose text may be read while its file is open
            assert a.get_state() == b.get_state()
    files = [tmp_path / run / "log.csv" for run in ("straight", "resumed")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("schedule", [OneCycle(0.1), StepDecay(0.1, every=3)])
def test_schedules_go_on(schedule: Any, tmp_path: Path) -> None:
    straight, model = classifier(SGD(schedule)), classifier(SGD(schedule))
    straight.fit(X, Y, batch_size=16, epochs=4, verbose=0)
    interrupted(tmp_path, model)
    again = classifier(SGD(schedule))
    fit(tmp_path, again)
    assert again.weights_hash() == straight.weights_hash()
    assert again.optimizer.learning_rate == straight.optimizer.learning_rate


def test_a_rate_that_a_callback_set_stays(tmp_path: Path) -> None:
    def halve(epoch: int, logs: object) -> None:
        if epoch == 1:
            model.optimizer.learning_rate = 0.05

    model = classifier(SGD(OneCycle(0.1)))
    interrupted(tmp_path, model, LambdaCallback(on_epoch_end=halve))
    again = classifier(SGD(OneCycle(0.1)))
    fit(tmp_path, again)
    assert again.optimizer.learning_rate == pytest.approx(0.05)


def wide(units: int = 8, rate: float = 0.5, frozen: bool = False, extra: bool = False) -> Any:
    set_random_seed(3)
    model = Sequential(
        [
            Input((4,)),
            layers.Dense(units, activation="relu", name="hidden", trainable=not frozen),
            layers.Dropout(rate, name="drop"),
            *([layers.Dense(8, name="more")] if extra else []),
            layers.Dense(3, activation="softmax", name="out"),
        ]
    )
    model.compile(SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    return model


def other_seed() -> Any:
    set_random_seed(4)
    model = Sequential([Input((4,)), *wide().layers])
    model.compile(SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    return model


def other_optimizer() -> Any:
    model = wide()
    model.compile(SGD(0.1, momentum=0.8), "sparse_categorical_crossentropy")
    return model


CHANGES: list[tuple[Callable[[], Any], dict[str, Any], str]] = [
    (lambda: wide(units=9), {}, r"hidden/kernel was \(4, 8\), is now \(4, 9\)"),
    (lambda: wide(extra=True), {}, r"out/kernel \(now more/kernel\) was \(8, 3\), is now \(8, 8\)"),
    (lambda: wide(rate=0.4), {}, "drop: rate was 0.5, is now 0.4"),
    (lambda: wide(frozen=True), {}, "hidden/kernel was trained, is now frozen"),
    (other_seed, {}, "seed was"),
    (other_optimizer, {}, "optimizer: momentum was 0.9, is now 0.8"),
    (wide, {"batch_size": 8}, "batch_size was 16, is now 8"),
    (wide, {"shuffle": False}, "shuffle was True, is now False"),
    (wide, {"x": X[:40], "y": Y[:40]}, "data: samples was 50, is now 40"),
    (wide, {"x": X[::-1]}, "data: x 0: other contents"),
    (wide, {"sample_weight": np.ones(50)}, "data: sample_weight: there were 0, there are now 1"),
    (wide, {"steps_per_epoch": 2}, "steps was 4, is now 2"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "options", "message"), CHANGES)
def test_what_changed_is_refused_and_named(
    change: Callable[[], Any], options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    interrupted(tmp_path, wide())
    model = change()
    before = model.weights_hash()
    with pytest.raises(ArgumentError, match=message):
        fit(tmp_path, model, **options)
    assert model.weights_hash() == before
    assert len(list(tmp_path.iterdir())) == 2  # and the backup is as it was
    fit(tmp_path, wide())


def test_callbacks_of_ones_own(tmp_path: Path) -> None:
    class Keeper(Callback):
        def __init__(self) -> None:
            self.seen: list[Any] = []
            self.mean = [np.zeros(2, np.float32)]

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            self.seen.append([epoch, {"x": None}])
            self.mean[0] = self.mean[0] + 1

        def get_state(self) -> dict[str, Any]:
            return {"seen": self.seen, "mean": self.mean}

        def set_state(self, state: Any) -> None:
            self.seen, self.mean = state["seen"], state["mean"]

    interrupted(tmp_path, classifier(), Keeper())
    other, keeper = LambdaCallback(), Keeper()
    fit(tmp_path, classifier(), other, keeper)  # another callback before it changes nothing
    assert [epoch for epoch, _ in keeper.seen] == [0, 1, 2, 3]
    np.testing.assert_array_equal(keeper.mean[0], [4, 4])


def test_automatic_names_may_differ(tmp_path: Path) -> None:
    def automatic() -> Sequential:
        set_random_seed(0)
        model = Sequential([Input((4,)), layers.Dense(8, "tanh"), layers.Dense(3, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    model = automatic()
    interrupted(tmp_path, model)
    again = automatic()
    assert again.layers[0].name != model.layers[0].name
    fit(tmp_path, again)


def test_more_epochs_are_fine_where_the_schedule_does_not_count_them(tmp_path: Path) -> None:
    interrupted(tmp_path / "a", classifier(SGD(0.1)))
    fit(tmp_path / "a", classifier(SGD(0.1)), epochs=6)
    interrupted(tmp_path / "b", classifier(SGD(OneCycle(0.1))))
    with pytest.raises(ArgumentError, match="learning_rate: steps was 16, is now 24"):
        fit(tmp_path / "b", classifier(SGD(OneCycle(0.1))), epochs=6)


def test_loaders_say_what_they_are(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 1)).astype(np.uint8)

    def go(size: int) -> None:
        set_random_seed(1)
        model = Sequential([Input((4, 4, 1)), layers.Flatten(), layers.Dense(3, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        data = AugmentedArrays(images, Y[:30], batch_size=size)
        model.fit(data, epochs=3, verbose=0, callbacks=[Interrupt(2), BackupAndRestore(tmp_path)])

    with pytest.raises(KeyboardInterrupt):
        go(10)
    with pytest.raises(ArgumentError, match="data: batch_size was 10, is now 15"):
        go(15)


def test_generators_go_on_too(tmp_path: Path) -> None:
    class Batches:
        def __iter__(self) -> Any:
            return batches()

    straight, again = classifier(), classifier()
    straight.fit(Batches(), epochs=4, verbose=0)
    with pytest.raises(KeyboardInterrupt):
        again.fit(
            Batches(), epochs=4, verbose=0, callbacks=[Interrupt(2), BackupAndRestore(tmp_path)]
        )
    last = classifier()
    last.fit(Batches(), epochs=4, verbose=0, callbacks=[BackupAndRestore(tmp_path)])
    assert last.weights_hash() == straight.weights_hash()


@pytest.mark.parametrize("damage", ["cut", "changed", "text", "empty"])
def test_a_damaged_file_is_passed_over(damage: str, tmp_path: Path) -> None:
    straight, again = classifier(), classifier()
    straight.fit(X, Y, batch_size=16, epochs=4, verbose=0)
    interrupted(tmp_path, classifier())
    newest = tmp_path / "epoch-0002.safetensors"
    data = bytearray(newest.read_bytes())
    if damage == "changed":
        data[-5] ^= 1
    newest.write_bytes({"cut": data[:-9], "changed": data, "text": b"no", "empty": b""}[damage])
    with pytest.warns(StriateWarning, match="the checkpoint before it is taken"):
        fit(tmp_path, again)
    assert again.weights_hash() == straight.weights_hash()


def test_nothing_but_damaged_files_is_an_error(tmp_path: Path) -> None:
    interrupted(tmp_path, classifier())
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(StriateWarning), pytest.raises(FormatError, match="no checkpoint can be"):
        fit(tmp_path, classifier())


def test_a_model_file_is_no_checkpoint(tmp_path: Path) -> None:
    classifier().save(tmp_path / "epoch-0001.safetensors")
    with pytest.raises(FormatError, match="not a striate checkpoint"):
        fit(tmp_path, classifier())


def test_what_a_killed_process_had_begun_is_removed(tmp_path: Path) -> None:
    interrupted(tmp_path, classifier())
    half = tmp_path / "epoch-0003.safetensors.tmp.123.456"
    half.write_bytes(b"half")
    interrupted(tmp_path, classifier(), epochs=3)
    assert not half.exists()


def test_a_file_of_another_machine_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(tmp_path, classifier())
    real = checkpoint._core.isa()
    monkeypatch.setattr(checkpoint._core, "isa", lambda: "other")
    with pytest.warns(StriateWarning, match=f"instruction set {real}, this is other"):
        fit(tmp_path, classifier())


def test_a_save_that_fails_leaves_the_files(tmp_path: Path) -> None:
    """A folder that takes the next file's name makes the write fail."""

    def block(epoch: int, logs: object) -> None:
        if epoch == 2:
            (tmp_path / "epoch-0003.safetensors").mkdir()

    straight, again = classifier(), classifier()
    straight.fit(X, Y, batch_size=16, epochs=4, verbose=0)
    with pytest.raises(OSError, match="epoch-0003"):
        fit(tmp_path, classifier(), LambdaCallback(on_epoch_begin=block))
    (tmp_path / "epoch-0003.safetensors").rmdir()
    fit(tmp_path, again)
    assert again.weights_hash() == straight.weights_hash()


def test_arguments() -> None:
    with pytest.raises(ArgumentError, match='save_freq is "epoch"'):
        BackupAndRestore("x", save_freq=100)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="names no folder"):
        BackupAndRestore("")


def test_an_unbuilt_model_with_batches_says_what_it_lacks(tmp_path: Path) -> None:
    model = Sequential([layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ArgumentError, match="input's shape is not known yet"):
        model.fit(iter([(X, Y)]), verbose=0, callbacks=[BackupAndRestore(tmp_path)])


def test_samples_seen_is_what_keys_dropout() -> None:
    x = np.ones((4, 4), np.float32)
    outputs = []
    for seen in (0, 0, 8):
        model = wide()
        model.network.samples_seen = seen
        model.train_on_batch(x, np.zeros(4))
        assert model.network.samples_seen == seen + 4
        outputs.append(model.weights_hash())
    assert outputs[0] == outputs[1] != outputs[2]


def test_history_is_what_a_straight_run_has(tmp_path: Path) -> None:
    straight = classifier().fit(X, Y, batch_size=16, epochs=4, verbose=0, validation_split=0.2)
    interrupted(tmp_path, classifier(), validation_split=0.2)
    model = classifier()
    history = fit(tmp_path, model, validation_split=0.2)
    assert isinstance(history, History)
    assert history.history == straight.history
    assert model.epochs_trained == 4
