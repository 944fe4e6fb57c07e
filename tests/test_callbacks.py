"""Callbacks: what each one does to a run."""

import csv

import numpy as np
import pytest
from striate import Input, Sequential, layers, load_model, optimizers, set_random_seed
from striate.callbacks import (
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgressBar,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from striate.errors import ArgumentError, NumericsError, StriateWarning

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
Y = X @ np.array([[1.0], [2.0], [-1.0]], np.float32)


def regressor(rate: float = 0.1) -> Sequential:
    set_random_seed(0)
    model = Sequential([Input((3,)), layers.Dense(1)])
    model.compile(optimizers.SGD(rate), "mse")
    return model


class Scripted(Callback):
    """Puts chosen values of val_loss into the logs, before the callbacks after it."""

    def __init__(self, values):
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs["val_loss"] = self.values[epoch]


def run(values, *callbacks, model=None, **kwargs):
    model = model or regressor()
    model.fit(
        X, Y, epochs=len(values), verbose=0, callbacks=[Scripted(values), *callbacks], **kwargs
    )
    return model


def test_early_stopping_waits_for_patience() -> None:
    stop = EarlyStopping(patience=2)
    model = run([3.0, 2.0, 2.5, 2.1, 1.0, 0.5], stop)
    assert model.history.epoch == [0, 1, 2, 3] and stop.stopped_epoch == 3


def test_early_stopping_min_delta_mode_and_start() -> None:
    assert run([3, 2.95, 2.9, 2.85], EarlyStopping(patience=1, min_delta=0.1)).history.epoch == [
        0,
        1,
    ]
    assert run([1, 2, 3, 4], EarlyStopping(patience=1, mode="max")).history.epoch == [0, 1, 2, 3]
    late = EarlyStopping(patience=1, start_from_epoch=3)
    assert run([1, 2, 3, 4, 5, 6], late).history.epoch == [0, 1, 2, 3, 4]
    assert run([3, 4, 1], EarlyStopping(patience=2, baseline=0.5)).history.epoch == [0, 1]


def test_early_stopping_restores_the_best_weights() -> None:
    weights = []
    keep = LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()))
    model = regressor()
    run([3, 1, 2, 2], keep, EarlyStopping(patience=2, restore_best_weights=True), model=model)
    assert np.array_equal(model.get_weights()[0], weights[1][0])


def test_early_stopping_without_its_quantity_warns() -> None:
    with pytest.warns(StriateWarning, match="no 'val_acc' to monitor"):
        regressor().fit(X, Y, verbose=0, callbacks=EarlyStopping("val_acc"))


def test_auto_mode_goes_by_the_name() -> None:
    assert EarlyStopping("val_accuracy")._monitor.larger
    assert not EarlyStopping("val_loss")._monitor.larger
    with pytest.raises(ArgumentError, match="mode"):
        EarlyStopping(mode="maximum")


def test_checkpoint_of_every_epoch(tmp_path) -> None:
    path = tmp_path / "sub" / "m-{epoch:02d}-{val_loss:.1f}.striate"
    model = run([3.0, 2.0], ModelCheckpoint(path))
    assert sorted(p.name for p in path.parent.iterdir()) == ["m-01-3.0.striate", "m-02-2.0.striate"]
    again = load_model(path.parent / "m-02-2.0.striate")
    assert np.array_equal(again.predict(X), model.predict(X))


def test_checkpoint_of_the_best(tmp_path) -> None:
    saved = []
    checkpoint = ModelCheckpoint(tmp_path / "m", save_best_only=True, save_weights_only=True)
    watch = LambdaCallback(on_epoch_end=lambda epoch, logs: saved.append(checkpoint.best))
    run([3.0, 4.0, 2.0], checkpoint, watch)
    assert saved == [3.0, 3.0, 2.0]
    regressor().load_weights(tmp_path / "m")
    run([3.0], ModelCheckpoint(tmp_path / "n", save_best_only=True, initial_value_threshold=1.0))
    assert not (tmp_path / "n").exists()


def test_checkpoint_by_batches(tmp_path) -> None:
    path = tmp_path / "m"
    calls = []
    checkpoint = ModelCheckpoint(path, save_freq=3)
    checkpoint._save = lambda epoch, logs: calls.append(epoch)
    regressor().fit(X, Y, batch_size=5, epochs=2, verbose=0, callbacks=[checkpoint])
    assert calls == [0, 1]
    with pytest.raises(ArgumentError, match="save_freq"):
        ModelCheckpoint(path, save_freq="batch")


def test_checkpoint_with_an_unknown_name(tmp_path) -> None:
    with pytest.raises(ArgumentError, match="'val_accuracy'"):
        regressor().fit(X, Y, verbose=0, callbacks=ModelCheckpoint(tmp_path / "{val_accuracy}"))


def test_learning_rate_scheduler() -> None:
    rates = []
    model = regressor()
    watch = LambdaCallback(on_epoch_end=lambda e, logs: rates.append(model.optimizer.learning_rate))
    model.fit(
        X, Y, epochs=3, verbose=0, callbacks=[LearningRateScheduler(lambda e, lr: lr / 2), watch]
    )
    assert rates == pytest.approx([0.05, 0.025, 0.0125])
    assert model.history.history["learning_rate"] == pytest.approx(rates)
    model.fit(X, Y, verbose=0, callbacks=LearningRateScheduler(lambda epoch: 0.5))
    assert model.optimizer.learning_rate == 0.5
    with pytest.raises(ArgumentError, match="gave None"):
        model.fit(X, Y, verbose=0, callbacks=LearningRateScheduler(lambda epoch: None))


def test_reduce_on_plateau() -> None:
    plateau = ReduceLROnPlateau(factor=0.5, patience=2, min_lr=0.04)
    model = run([1.0] * 10, plateau)
    rates = model.history.history["learning_rate"]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05, 0.04, 0.04, 0.04, 0.04, 0.04])
    cool = run([1.0] * 8, ReduceLROnPlateau(factor=0.5, patience=1, cooldown=2))
    assert cool.history.history["learning_rate"] == pytest.approx(
        [0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125]
    )
    with pytest.raises(ArgumentError, match="factor"):
        ReduceLROnPlateau(factor=1.0)


def test_csv_logger(tmp_path) -> None:
    path = tmp_path / "log.csv"
    run([3.0, 2.0], CSVLogger(path))
    run([1.0], CSVLogger(path, append=True))
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "0"]
    assert [float(row["val_loss"]) for row in rows] == [3.0, 2.0, 1.0]


def test_csv_logger_is_closed_after_ctrl_c(tmp_path) -> None:
    def interrupt(epoch, logs):
        raise KeyboardInterrupt

    logger = CSVLogger(tmp_path / "log.csv")
    with pytest.raises(KeyboardInterrupt):
        regressor().fit(X, Y, verbose=0, callbacks=[logger, LambdaCallback(on_epoch_end=interrupt)])
    assert logger._file is None and (tmp_path / "log.csv").read_text().count("\n") == 2


def test_terminate_on_nan(capsys) -> None:
    bad = X.copy()
    bad[0, 0] = np.nan
    model = regressor()
    model.fit(bad, Y, epochs=5, batch_size=20, verbose=0, callbacks=TerminateOnNaN())
    assert model.history.epoch == [0] and "the loss is nan" in capsys.readouterr().out
    with pytest.raises(NumericsError):
        regressor().fit(bad, Y, verbose=0, callbacks=TerminateOnNaN(raise_error=True))


def test_stop_training_ends_after_the_batch() -> None:
    def stop(batch, logs):
        model.stop_training = True

    model = regressor()
    model.fit(X, Y, batch_size=5, epochs=3, verbose=0, callbacks=LambdaCallback(on_batch_end=stop))
    assert model.optimizer.iterations == 1 and model.history.epoch == [0]


def test_only_overridden_batch_hooks_are_called() -> None:
    class Plain(Callback):
        def on_epoch_end(self, epoch, logs=None):
            pass

    class Batch(Callback):
        def on_batch_end(self, batch, logs=None):
            pass

    listed = CallbackList([Plain(), Batch(), LambdaCallback(on_train_batch_end=print)])
    assert len(listed.hooks("on_train_batch_end")) == 2
    assert listed.hooks("on_train_batch_begin") == []


def test_params_and_model_are_set() -> None:
    seen = Callback()
    model = regressor()
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=seen)
    assert seen.model is model
    assert seen.params == {
        "epochs": 2, "steps": 3, "samples": 20, "batch_size": 8, "verbose": 0,
    }  # fmt: skip


def test_lambda_callback_refuses_unknown_hooks() -> None:
    with pytest.raises(TypeError, match="no hook 'on_epoch_finish'"):
        LambdaCallback(on_epoch_finish=print)


def test_progress_bar_as_a_callback(capsys) -> None:
    regressor().fit(X, Y, verbose=0, callbacks=[ProgressBar(verbose=2)])
    assert capsys.readouterr().out.startswith("Epoch 1/1: ")
