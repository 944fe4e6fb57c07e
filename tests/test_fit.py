"""fit, evaluate and the batch methods: the data they take, and what they make of it."""

import numpy as np
import pytest
import striate
from small_fits import X, Y, batches, classifier, forever, same_weights
from striate import Input, Sequential, layers, metrics, naming, set_random_seed
from striate.callbacks import Callback, LambdaCallback
from striate.errors import ArgumentError, NumericsError, StriateWarning


@pytest.fixture(autouse=True)
def fresh():
    naming.reset_names()
    set_random_seed(0)


def test_learns() -> None:
    model = classifier(striate.optimizers.Adam(0.05))
    history = model.fit(X, Y, epochs=40, batch_size=10, verbose=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    loss, accuracy = model.evaluate(X, Y, verbose=0)
    assert accuracy > 0.9 and loss < 0.5
    assert (model.predict_classes(X) == Y).mean() == pytest.approx(accuracy)


def test_history() -> None:
    model = classifier()
    history = model.fit(X, Y, epochs=3, validation_data=(X, Y), verbose=0)
    assert history is model.history and history.epoch == [0, 1, 2]
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert all(len(values) == 3 for values in history.history.values())
    assert list(classifier(metrics=["acc"]).fit(X, Y, verbose=0).history) == ["loss", "acc"]


def test_training_repeats_to_the_bit() -> None:
    a, b = classifier(), classifier()
    a.fit(X, Y, epochs=2, verbose=0)
    b.fit(X, Y, epochs=2, verbose=0)
    assert same_weights(a, b)


def test_two_fits_are_one() -> None:
    a, b = classifier(), classifier()
    a.fit(X, Y, epochs=3, verbose=0)
    b.fit(X, Y, epochs=1, verbose=0)
    b.fit(X, Y, epochs=3, initial_epoch=1, verbose=0)
    assert same_weights(a, b) and b.history.epoch == [1, 2]


def test_ragged_last_batch_is_trained() -> None:
    sizes = []

    class Sizes(Callback):
        def on_train_batch_end(self, batch, logs=None):
            sizes.append(self.model.samples_seen)

    classifier().fit(X, Y, batch_size=16, verbose=0, callbacks=[Sizes()])
    assert sizes == [16, 32, 48, 50]


def test_batch_larger_than_the_data_is_one_batch() -> None:
    model = classifier()
    model.fit(X, Y, batch_size=1000, verbose=0)
    assert model.optimizer.iterations == 1


def test_loss_is_the_mean_over_samples() -> None:
    model = classifier(striate.optimizers.SGD(0.0))
    history = model.fit(X, Y, batch_size=16, verbose=0).history
    loss, accuracy = model.evaluate(X, Y, verbose=0)
    assert history["loss"][0] == pytest.approx(loss, rel=1e-5)
    assert history["accuracy"][0] == pytest.approx(accuracy)


def test_shuffle_is_by_seed_and_epoch() -> None:
    plain, shuffled = classifier(), classifier()
    plain.fit(X, Y, shuffle=False, verbose=0)
    shuffled.fit(X, Y, verbose=0)
    assert not same_weights(plain, shuffled)
    by_hand = classifier()
    for start in range(0, 50, 32):
        by_hand.train_on_batch(X[start : start + 32], Y[start : start + 32])
    assert same_weights(plain, by_hand)


def test_validation_split_takes_the_last_samples() -> None:
    a, b = classifier(), classifier()
    a.fit(X, Y, validation_split=0.2, verbose=0, epochs=2)
    b.fit(X[:40], Y[:40], validation_data=(X[40:], Y[40:]), verbose=0, epochs=2)
    assert same_weights(a, b) and a.history.history == b.history.history


def test_validation_freq_and_steps() -> None:
    model = classifier()
    model.fit(X, Y, epochs=4, validation_data=(X, Y), validation_freq=2, verbose=0)
    assert len(model.history.history["val_loss"]) == 2
    model.fit(X, Y, validation_data=forever(), validation_steps=3, verbose=0)


def test_sample_weight_zero_is_a_sample_left_out() -> None:
    weights = (np.arange(50) < 25).astype(np.float64)
    model = classifier(striate.optimizers.SGD(0.1))
    other = classifier(striate.optimizers.SGD(0.05))  # the mean is over all samples, weighted 0 too
    model.fit(X, Y, sample_weight=weights, batch_size=50, shuffle=False, verbose=0)
    other.fit(X[:25], Y[:25], batch_size=25, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_class_weight_is_a_sample_weight() -> None:
    a, b, c = classifier(), classifier(), classifier()
    a.fit(X, Y, class_weight={0: 2.0, 2: 0.5}, verbose=0)
    table = np.array([2.0, 1.0, 0.5])
    b.fit(X, Y, sample_weight=table[Y], verbose=0)
    assert same_weights(a, b)
    c.fit(X, Y, class_weight={0: 4.0, 2: 1.0, 1: 2.0}, sample_weight=np.full(50, 0.5), verbose=0)
    assert same_weights(a, c)


def test_evaluate_returns_what_keras_returns() -> None:
    model = classifier()
    as_list = model.evaluate(X, Y, verbose=0)
    as_dict = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert list(as_dict) == ["loss", "accuracy"] == model.metrics_names
    assert list(as_dict.values()) == as_list
    assert isinstance(classifier(metrics=[]).evaluate(X, Y, verbose=0), float)
    assert model.evaluate(X, Y, batch_size=7, verbose=0) == pytest.approx(as_list, rel=1e-6)
    assert model.test_on_batch(X, Y) == pytest.approx(as_list, rel=1e-6)


def test_train_on_batch_returns_the_loss_before_the_step() -> None:
    model = classifier()
    before = model.test_on_batch(X, Y, return_dict=True)
    assert model.train_on_batch(X, Y, return_dict=True) == pytest.approx(before)
    assert model.train_on_batch(X, Y)[0] < before["loss"]


def test_metrics_that_see_outputs() -> None:
    def margin(y_true, y_pred):
        return np.sort(y_pred, axis=1)[:, -1] - np.sort(y_pred, axis=1)[:, -2]

    names = ["accuracy", "sparse_categorical_accuracy", margin]
    top = metrics.SparseTopKCategoricalAccuracy(k=2, name="top2")
    model = classifier(metrics=[*names, top])
    logs = model.fit(X, Y, epochs=2, validation_data=(X, Y), verbose=0).history
    assert logs["accuracy"] == pytest.approx(logs["sparse_categorical_accuracy"])
    assert 0 < logs["margin"][0] < 1
    outputs = model.predict(X)
    ranks = (outputs > outputs[np.arange(50), Y][:, None]).sum(axis=1)
    assert logs["val_top2"][-1] == pytest.approx((ranks < 2).mean())


def test_ctrl_c_keeps_the_history() -> None:
    class Interrupt(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.epochs_trained == 2:
                raise KeyboardInterrupt

    model = classifier()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=5, verbose=0, callbacks=[Interrupt()])
    assert model.history.epoch == [0, 1] and len(model.history.history["loss"]) == 2
    model.fit(X, Y, verbose=0)
    assert model.history.epoch == [0]


def test_one_line_an_epoch_where_there_is_no_terminal(capsys) -> None:
    classifier().fit(X, Y, epochs=2, validation_data=(X, Y))
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 2
    assert out[0].startswith("Epoch 1/2: ") and "images/s - loss: " in out[0]
    assert "val_accuracy: " in out[1]


def test_bar(capsys) -> None:
    classifier().fit(X, Y, epochs=1, batch_size=2, verbose=1)
    shown = capsys.readouterr()
    assert shown.out == "" and "Epoch 1/1" in shown.err and "images/s" in shown.err


def test_silence(capsys) -> None:
    model = classifier()
    model.fit(X, Y, verbose=0)
    model.evaluate(X, Y, verbose=0)
    model.predict(X)
    assert capsys.readouterr() == ("", "")


def test_check_numerics_names_the_layer() -> None:
    bad = X.copy()
    bad[7, 2] = np.nan
    model = classifier(check_numerics=True)
    before = model.get_weights()
    where = r"input: NaN in sample \d+ of the batch, feature 2 of \(4,\)"
    with pytest.raises(NumericsError, match=where):
        model.fit(bad, Y, batch_size=50, verbose=0)
    assert all(np.array_equal(*w) for w in zip(before, model.get_weights(), strict=True))
    model.layers[1].set_weights([np.full((8, 3), np.inf), np.zeros(3)])
    with pytest.raises(NumericsError, match="dense_1, output: (NaN|infinity) in sample"):
        model.fit(X, Y, batch_size=50, verbose=0)


def test_harmless_arguments_warn_and_unknown_ones_are_refused() -> None:
    model = classifier()
    with pytest.warns(StriateWarning, match="workers has no effect"):
        model.fit(X, Y, verbose=0, workers=2)
    with pytest.raises(TypeError, match="epoch is not an argument"):
        model.fit(X, Y, epoch=2)
    with pytest.raises(TypeError, match="metric is not an argument"):
        model.compile("sgd", "mse", metric=["accuracy"])
    with pytest.warns(StriateWarning, match="jit_compile has no effect"):
        model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=True)


def test_not_compiled() -> None:
    model = Sequential([Input((4,)), layers.Dense(3)])
    for call in (model.fit, model.evaluate, model.train_on_batch):
        with pytest.raises(ArgumentError, match="call compile"):
            call(X, Y)
    with pytest.raises(ArgumentError, match="call compile"):
        model.fit(batches())


def test_an_unknown_metric_is_refused_before_the_model_is_built() -> None:
    model = Sequential([layers.Dense(3)])
    with pytest.raises(ArgumentError, match="no metric 'acuracy'"):
        model.compile("sgd", "mse", ["acuracy"])
    assert not model.is_compiled


def test_compile_that_fails_leaves_the_old_one() -> None:
    model = classifier()
    optimizer = model.optimizer
    for bad in (
        {"optimizer": "sgdd", "loss": "mse"},
        {"optimizer": "sgd", "loss": "msee"},
        {"optimizer": "sgd", "loss": None},
        {"optimizer": "sgd", "loss": "mse", "metrics": ["acuracy"]},
        {"optimizer": "sgd", "loss": "mse", "metrics": ["accuracy", "accuracy"]},
    ):
        with pytest.raises(ArgumentError):
            model.compile(**bad)
    assert model.optimizer is optimizer
    model.fit(X, Y, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a positive integer, got 0"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"epochs": 0}, "epochs must be a positive integer"),
        ({"steps_per_epoch": 3}, "make only 2 batches of 32"),
        ({"validation_split": 1.5}, "must lie between 0 and 1"),
        ({"validation_split": 0.99}, "leaves one part empty"),
        ({"validation_split": 0.5, "validation_data": (X, Y)}, "validation_split or"),
        ({"validation_data": (X,)}, r"validation_data is \(x, y\)"),
        ({"validation_data": (X, Y, None, 3)}, "got 4 parts"),
        ({"verbose": 3}, "verbose"),
        ({"class_weight": [1, 2]}, "class_weight is a dict"),
        ({"class_weight": {0: -1}}, "is not a weight"),
        ({"sample_weight": np.ones(3)}, r"sample_weight has shape \(3,\), expected \(50,\)"),
        ({"sample_weight": np.full(50, np.nan)}, r"sample_weight\[0\] is nan"),
    ],
)
def test_bad_arguments_train_nothing(arguments, message) -> None:
    model = classifier()
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y, **arguments)
    assert model.optimizer.iterations == 0


def test_order_of_hooks() -> None:
    seen: list[str] = []
    names = [name for name in dir(Callback) if name.startswith("on_")]
    names = [name for name in names if name not in ("on_batch_begin", "on_batch_end")]
    hooks = {name: (lambda *a, name=name: seen.append(name)) for name in names}
    model = classifier()
    model.fit(X, Y, validation_data=(X, Y), callbacks=LambdaCallback(**hooks), verbose=0)
    batch = ["on_train_batch_begin", "on_train_batch_end"]
    test = ["on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end"]
    expected = ["on_train_begin", "on_epoch_begin", *batch, *batch, *test, "on_epoch_end"]
    assert seen == [*expected, "on_train_end"]
