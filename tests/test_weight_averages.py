"""The moving average of the weights: in fit, in evaluation, and out of the way of training."""

import numpy as np
import pytest
from small_fits import X as SAMPLES
from small_fits import Y as CLASSES
from small_fits import classifier
from striate import callbacks
from striate.errors import ArgumentError
from striate.optimizers import SGD

Weights = list[np.ndarray]


def test_fit_ends_with_the_average() -> None:
    plain = classifier(SGD(0.1))
    averaged = classifier(SGD(0.1, use_ema=True, ema_momentum=0.5))
    seen: list[Weights] = []
    watch = callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: seen.append(
        averaged.get_weights()))  # fmt: skip
    plain.fit(SAMPLES, CLASSES, epochs=2, verbose=0)
    averaged.fit(SAMPLES, CLASSES, epochs=2, verbose=0, callbacks=watch)
    for got, want in zip(seen[-1], plain.get_weights(), strict=True):
        np.testing.assert_array_equal(got, want)  # the average does not disturb the training
    average = seen[0]
    for weights in seen[1:]:
        average = [0.5 * a + 0.5 * w for a, w in zip(average, weights, strict=True)]
    for got, want in zip(averaged.get_weights(), average, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_swap_ema_weights(swap_on_epoch) -> None:
    def ema():
        return classifier(SGD(0.3, use_ema=True, ema_momentum=0.9))

    plain = ema().fit(SAMPLES, CLASSES, epochs=3, verbose=0, validation_data=(SAMPLES, CLASSES))
    model = ema()
    between: list[Weights] = []
    watch = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: between.append(model.get_weights())
    )
    swap = callbacks.SwapEMAWeights(swap_on_epoch)
    swapped = model.fit(SAMPLES, CLASSES, epochs=3, verbose=0, callbacks=[swap, watch],
                        validation_data=(SAMPLES, CLASSES))  # fmt: skip
    assert swapped.history["loss"] == plain.history["loss"], "training is as without"
    assert swapped.history["val_loss"] != plain.history["val_loss"]
    last = model.evaluate(SAMPLES, CLASSES, verbose=0)[0]
    assert last == pytest.approx(swapped.history["val_loss"][-1]), "fit ended with the averages"
    ends_swapped = all(
        np.array_equal(*w) for w in zip(between[-1], model.get_weights(), strict=True)
    )
    assert ends_swapped == swap_on_epoch


def test_averages_are_put_back_where_validation_is_interrupted() -> None:
    model = classifier(SGD(0.3, use_ema=True))

    class Interrupt(callbacks.Callback):
        def on_test_begin(self, logs=None) -> None:
            self.during = self.model.network.average_in_use
            raise KeyboardInterrupt

    interrupt = Interrupt()
    with pytest.raises(KeyboardInterrupt):
        model.fit(SAMPLES, CLASSES, verbose=0, validation_data=(SAMPLES, CLASSES),
                  callbacks=[callbacks.SwapEMAWeights(), interrupt])  # fmt: skip
    assert interrupt.during and not model.network.average_in_use


def test_averages_in_use_and_out_of_use() -> None:
    model = classifier(SGD(0.3, use_ema=True, ema_momentum=0.9))
    network = model.network
    model.optimizer.use_average(True)  # there is none yet
    assert not network.average_in_use
    for _ in range(3):
        model.train_on_batch(SAMPLES, CLASSES)
    own, state = model.get_weights(), network.optimizer_state()
    model.optimizer.use_average(True)
    assert network.average_in_use
    averages = model.get_weights()
    assert not np.array_equal(own[0], averages[0])
    with pytest.raises(ArgumentError, match="averages are in the parameters' place"):
        network.optimizer_state()
    model.optimizer.use_average(True)
    np.testing.assert_array_equal(model.get_weights()[0], averages[0])
    model.optimizer.use_average(False)
    np.testing.assert_array_equal(model.get_weights()[0], own[0])
    np.testing.assert_array_equal(network.optimizer_state()["average"], state["average"])
    other = classifier(SGD(0.3, use_ema=True, ema_momentum=0.9))
    for step in range(5):
        other.train_on_batch(SAMPLES, CLASSES)
        if step >= 3:
            model.optimizer.use_average(True)
            model.train_on_batch(SAMPLES, CLASSES)
    assert model.weights_hash() == other.weights_hash(), "training goes on from the weights"
    with pytest.raises(ArgumentError, match="keeps no average"):
        classifier("sgd").network.use_average(True)


def test_frozen_weights_keep_out_of_the_average() -> None:
    model = classifier(SGD(0.3, use_ema=True, ema_momentum=0.9))
    model.layers[0].trainable = False
    model.train_on_batch(SAMPLES, CLASSES)
    changed = [w + 1 for w in model.layers[0].get_weights()]
    model.layers[0].set_weights(changed)
    model.train_on_batch(SAMPLES, CLASSES)
    for on in (True, False):
        model.optimizer.use_average(on)
        np.testing.assert_array_equal(model.get_weights()[0], changed[0])
    model.optimizer.finalize_variable_values()
    np.testing.assert_array_equal(model.get_weights()[0], changed[0])


def test_swapping_without_averages() -> None:
    with pytest.raises(ArgumentError, match="keeps no averages: give its optimizer use_ema=True"):
        classifier("sgd").evaluate(
            SAMPLES, CLASSES, verbose=0, callbacks=[callbacks.SwapEMAWeights()]
        )
