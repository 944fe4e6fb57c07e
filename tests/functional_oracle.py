"""Functional models once more in float64: a walk along their calls, with numerics.py's layers."""

from collections.abc import Callable, Sequence
from typing import Any

import numerics
import numpy as np
from numerics import Doubles
from striate import Model
from striate.layers import Layer

Weights = dict[Layer, list[Doubles]]


def weights_of(model: Model) -> Weights:
    return {
        layer: [w.astype(np.float64) for w in layer.get_weights()] for layer in model.leaf_layers()
    }


def _activated(layer: Any, y: Doubles) -> Doubles:
    kind, alpha = layer.activation
    return numerics.activation(y, (), kind=kind, alpha=alpha)


def _conv2d(layer: Any, w: list[Doubles], x: Doubles) -> Doubles:
    y = numerics.conv2d(
        x, w, kernel=layer.kernel_size, filters=layer.filters, strides=layer.strides,
        padding=layer.padding, groups=layer.groups, use_bias=layer.use_bias,
    )  # fmt: skip
    return _activated(layer, y)


def _batch_normalization(layer: Any, w: list[Doubles], x: Doubles) -> Doubles:
    gamma, beta, mean, variance = w
    return gamma * (x - mean) / np.sqrt(variance + layer.epsilon) + beta


RULES: dict[str, Callable[..., Doubles]] = {
    "Conv2D": _conv2d,
    "Dense": lambda layer, w, x: _activated(
        layer, numerics.dense(x, w, units=layer.units, use_bias=layer.use_bias)
    ),
    "BatchNormalization": _batch_normalization,
    "MaxPooling2D": lambda layer, w, x: numerics.max_pool2d(
        x, w, window=layer.pool_size, strides=layer.strides, padding=layer.padding
    ),
    "GlobalAveragePooling2D": lambda layer, w, x: x.mean(axis=(1, 2)),
    "Flatten": lambda layer, w, x: x.reshape(len(x), -1),
    "Activation": lambda layer, w, x: _activated(layer, x),
    "Dropout": lambda layer, w, x: x,
    "Add": lambda layer, w, *x: sum(x[1:], x[0]),
    "Subtract": lambda layer, w, a, b: a - b,
    "Multiply": lambda layer, w, *x: np.prod(x, axis=0),
    "Maximum": lambda layer, w, *x: np.max(x, axis=0),
    "Average": lambda layer, w, *x: np.mean(x, axis=0),
    "Concatenate": lambda layer, w, *x: np.concatenate(x, axis=-1),
    "Rescaling": lambda layer, w, x: x * np.array(layer.scale) + np.array(layer.offset),
}


def outputs(model: Model, weights: Weights, inputs: Sequence[Doubles]) -> list[Doubles]:
    """By output, what the model gives in inference."""
    topology = model.topology
    values = dict(zip(topology.inputs, inputs, strict=True))
    for node in topology.nodes:
        x = [values[tensor] for tensor in node.inputs]
        layer = node.layer
        if isinstance(layer, Model):
            made = outputs(layer, weights, x)
        else:
            made = [RULES[type(layer).__name__](layer, weights[layer], *x)]
        values.update(zip(node.outputs, made, strict=True))
    return [values[tensor] for tensor in topology.outputs]


def loss(
    model: Model, weights: Weights, inputs: Sequence[Doubles], targets: Sequence[Any]
) -> float:
    """The sum over outputs of loss weight times mean loss."""
    compiled = model.compiled
    total = 0.0
    made = outputs(model, weights, inputs)
    for of_output, factor, y, target in zip(
        compiled.losses, compiled.loss_weights, made, targets, strict=True
    ):
        if of_output is not None:
            by_sample = numerics.LOSSES[of_output.kind](y, target, **of_output.options())
            total += factor * float(by_sample.mean())
    return total


def check(
    model: Model, x: Sequence[np.ndarray], y: Sequence[Any], seed: int = 0, most: int = 12
) -> None:
    """Outputs, loss and a seeded choice of every weight's gradient, against float64.

    Central differences with PyTorch's gradcheck tolerances.
    """
    weights = weights_of(model)
    inputs = [array.astype(np.float64) for array in x]
    made = model.predict(list(x) if len(x) > 1 else x[0])
    made = made if isinstance(made, list) else [made]
    for got, expected in zip(made, outputs(model, weights, inputs), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    given_x = list(x) if len(x) > 1 else x[0]
    given_y = list(y) if len(y) > 1 else y[0]
    value, gradients, dx = model.gradients(given_x, given_y)
    assert np.isclose(value, loss(model, weights, inputs, y), rtol=1e-5)
    rng = np.random.default_rng(seed)
    pairs = [(layer, i) for layer in model.leaf_layers() for i in range(len(weights[layer]))]
    for (layer, i), gradient in zip(pairs, gradients, strict=True):
        size = gradient.size
        entries = sorted(rng.choice(size, min(size, most), replace=False).tolist())

        def moved(changed: Doubles, layer: Layer = layer, i: int = i) -> float:
            around = dict(weights)
            around[layer] = [changed if k == i else w for k, w in enumerate(weights[layer])]
            return loss(model, around, inputs, y)

        if layer.weights[i].path.rsplit("/", 1)[-1].startswith("moving_"):
            continue  # statistics, no gradient
        slopes = numerics.central_differences(moved, weights[layer][i], entries)
        np.testing.assert_allclose(
            gradient.ravel()[entries], slopes, rtol=1e-3, atol=1e-5, err_msg=f"{layer.name} {i}"
        )
    for place, got in enumerate(dx if isinstance(dx, list) else [dx]):
        entries = sorted(rng.choice(got.size, min(got.size, most), replace=False).tolist())

        def fed(changed: Doubles, place: int = place) -> float:
            around = [changed if k == place else value for k, value in enumerate(inputs)]
            return loss(model, weights, around, y)

        slopes = numerics.central_differences(fed, inputs[place], entries)
        np.testing.assert_allclose(got.ravel()[entries], slopes, rtol=1e-3, atol=1e-5)


def images(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(size=(count, *shape)).astype(np.float32)


def randomized(model: Model, seed: int = 0) -> Model:
    """Gives every weight a value of its own, moving statistics too."""
    rng = np.random.default_rng(seed)
    values = []
    for weight in model.weights:
        scale = 1 / np.sqrt(max(np.prod(weight.shape[:-1]), 1)) if len(weight.shape) > 1 else 0.3
        value = rng.normal(size=weight.shape) * scale
        if weight.name in ("gamma", "moving_variance"):
            value = np.abs(value) + 0.7
        values.append(value)
    model.set_weights(values)
    return model
