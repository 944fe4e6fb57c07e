"""The C++ core, as Python sees it: conversion and the GIL, no arithmetic.

Everything here is private; the public face is `striate`. Shapes are of one sample (no batch axis).
"""

from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

__version__: str

class StriateError(Exception): ...
class ShapeError(StriateError, ValueError): ...
class ArgumentError(StriateError, ValueError): ...
class FormatError(StriateError, ValueError): ...
class NumericsError(StriateError, ArithmeticError): ...

Pair = tuple[int, int]
Padding = str | tuple[Pair, Pair]  # "valid", "same" or ((top, bottom), (left, right))
# zeros ones constant(value) uniform(low, high) normal(mean, stddev) truncated_normal(mean, stddev)
# glorot_uniform glorot_normal he_uniform he_normal lecun_uniform lecun_normal
# variance_scaling(scale, mode, normal, truncated) fan_in_uniform(limit) orthogonal(gain)
Initializer = tuple[str, Mapping[str, Any]]
# (kind, options) or (kind, options, weight)
LossSpec = (
    tuple[str, Mapping[str, float | bool]] | tuple[str, Mapping[str, float | bool], float]
)

class Graph:
    """A network as data. Every method that adds a node returns the id of its output value."""

    def __init__(self) -> None: ...
    reuse: bool
    """While True, a node added under a name that exists uses that node's parameters."""
    def input(self, shape: Sequence[int], name: str = "input") -> int: ...
    def conv2d(
        self, x: int, *, name: str, filters: int, kernel: Pair, strides: Pair = (1, 1),
        padding: Padding = "valid", dilation: Pair = (1, 1), groups: int = 1,
        use_bias: bool = True, connections: NDArray[np.bool_] | None = None,
        kernel_initializer: Initializer = ("glorot_uniform", {}),
        bias_initializer: Initializer = ("zeros", {}), trainable: bool = True,
    ) -> int:
        """connections: [C, filters] booleans, True where input map c feeds output map o."""
    def dense(
        self, x: int, *, name: str, units: int, use_bias: bool = True,
        kernel_initializer: Initializer = ("glorot_uniform", {}),
        bias_initializer: Initializer = ("zeros", {}), trainable: bool = True,
    ) -> int: ...
    def max_pool2d(
        self, x: int, *, name: str, window: Pair, strides: Pair, padding: Padding = "valid",
        ceil_mode: bool = False,
    ) -> int: ...
    def avg_pool2d(
        self, x: int, *, name: str, window: Pair, strides: Pair, padding: Padding = "valid",
        count_include_pad: bool = False, ceil_mode: bool = False,
    ) -> int: ...
    def global_max_pool2d(self, x: int, *, name: str, keepdims: bool = False) -> int: ...
    def global_avg_pool2d(self, x: int, *, name: str, keepdims: bool = False) -> int: ...
    def subsample2d(
        self, x: int, *, name: str, window: Pair, strides: Pair,
        coefficient_initializer: Initializer = ..., bias_initializer: Initializer = ...,
        trainable: bool = True,
    ) -> int:
        """LeNet-5's S layers: y = coefficient[c] * sum(window) + bias[c], before the squash."""
    def flatten(self, x: int, *, name: str) -> int: ...
    def activation(self, x: int, *, name: str, kind: str, alpha: float = 0.0) -> int:
        """kind: linear relu leaky_relu sigmoid tanh scaled_tanh elu gelu silu softmax"""
    def dropout(self, x: int, *, name: str, rate: float) -> int: ...
    def batch_normalization(
        self, x: int, *, name: str, momentum: float = 0.99, epsilon: float = 1e-3,
        center: bool = True, scale: bool = True, beta_initializer: Initializer = ...,
        gamma_initializer: Initializer = ..., moving_mean_initializer: Initializer = ...,
        moving_variance_initializer: Initializer = ..., trainable: bool = True,
        inference: bool = False,
    ) -> int:
        """Over the last axis; parameters gamma, beta, moving_mean, moving_variance. inference: on
        the moving statistics in training, too, while gamma and beta train."""
    def rbf(self, x: int, *, name: str, codes: NDArray[np.float32]) -> int:
        """LeNet-5's output: y[i] = sum_j (x[j] - codes[i, j])**2; codes [classes, F], not trained."""
    def add(self, xs: Sequence[int], *, name: str) -> int: ...
    def subtract(self, xs: Sequence[int], *, name: str) -> int: ...
    def multiply(self, xs: Sequence[int], *, name: str) -> int: ...
    def average(self, xs: Sequence[int], *, name: str) -> int: ...
    def maximum(self, xs: Sequence[int], *, name: str) -> int: ...
    def minimum(self, xs: Sequence[int], *, name: str) -> int: ...
    def concatenate(self, xs: Sequence[int], *, name: str, axis: int = -1) -> int:
        """axis: of a sample, 0 for rows; or from the end."""
    def zero_padding2d(self, x: int, *, name: str, padding: tuple[Pair, Pair]) -> int: ...
    def cropping2d(self, x: int, *, name: str, cropping: tuple[Pair, Pair]) -> int: ...
    def reshape(self, x: int, *, name: str, target_shape: Sequence[int]) -> int: ...
    def permute(self, x: int, *, name: str, axes: Sequence[int]) -> int:
        """Output axis i is input axis axes[i], counted from 0 within a sample."""
    def upsampling2d(
        self, x: int, *, name: str, size: Pair, interpolation: str = "nearest"
    ) -> int: ...
    def adaptive_avg_pool2d(self, x: int, *, name: str, output_size: Pair) -> int: ...
    def rescaling(
        self, x: int, *, name: str, scale: Sequence[float], offset: Sequence[float] = (0.0,)
    ) -> int:
        """One number each, or one a channel."""
    def spatial_dropout2d(self, x: int, *, name: str, rate: float) -> int: ...
    def shape(self, value: int) -> tuple[int, ...]: ...
    def cost(self, value: int) -> dict[str, int]:
        """Of the node that makes `value`: {"macs": .., "connections": .., "parameters": ..,
        "trainable": ..} for one sample (parameters counts what a connection table leaves)."""
    def local_response_normalization(
        self, x: int, *, name: str, size: int = 5, alpha: float = 1e-4, beta: float = 0.75,
        k: float = 2.0, alpha_over_size: bool = False,
    ) -> int:
        """y[c] = x[c] / (k + a * sum(x**2 over size channels))**beta, a = alpha or alpha / size."""
    def layer_normalization(
        self, x: int, *, name: str, axes: int = 1, epsilon: float = 1e-3, center: bool = True,
        scale: bool = True, beta_initializer: Initializer = ("zeros", {}),
        gamma_initializer: Initializer = ("ones", {}), trainable: bool = True,
    ) -> int:
        """axes: how many of the last axes the statistics are taken over."""
    def group_normalization(
        self, x: int, *, name: str, groups: int = 32, epsilon: float = 1e-3, center: bool = True,
        scale: bool = True, beta_initializer: Initializer = ("zeros", {}),
        gamma_initializer: Initializer = ("ones", {}), trainable: bool = True,
    ) -> int:
        """groups: of channels; -1 for a group each."""
    def depthwise_conv2d(
        self, x: int, *, name: str, kernel: Pair, strides: Pair = (1, 1),
        padding: Padding = "valid", dilation: Pair = (1, 1), depth_multiplier: int = 1,
        use_bias: bool = True, depthwise_initializer: Initializer = ("glorot_uniform", {}),
        bias_initializer: Initializer = ("zeros", {}), trainable: bool = True,
    ) -> int: ...
    def separable_conv2d(
        self, x: int, *, name: str, filters: int, kernel: Pair, strides: Pair = (1, 1),
        padding: Padding = "valid", dilation: Pair = (1, 1), depth_multiplier: int = 1,
        use_bias: bool = True, depthwise_initializer: Initializer = ("glorot_uniform", {}),
        pointwise_initializer: Initializer = ("glorot_uniform", {}),
        bias_initializer: Initializer = ("zeros", {}), trainable: bool = True,
    ) -> int:
        """Parameters: depthwise_kernel, pointwise_kernel, bias."""
    def conv2d_transpose(
        self, x: int, *, name: str, filters: int, kernel: Pair, strides: Pair = (1, 1),
        padding: Padding = "valid", output_padding: Pair | None = None, dilation: Pair = (1, 1),
        use_bias: bool = True, kernel_initializer: Initializer = ("glorot_uniform", {}),
        bias_initializer: Initializer = ("zeros", {}), trainable: bool = True,
    ) -> int: ...

class Network:
    """A graph with its parameters, and the engine that trains and runs it.

    Arrays go in as lists, one for each input or output of the network, and come out as lists; a
    network with one input and one output takes and returns bare arrays too."""

    @overload
    def __init__(self, graph: Graph, output: int, seed: int = 0) -> None: ...
    @overload
    def __init__(self, graph: Graph, outputs: Sequence[int], seed: int = 0) -> None: ...
    def parameters(self) -> list[dict[str, Any]]:
        """In get_weights order: {"name": "c1/kernel", "layer": "c1", "shape": (5,5,1,6),
        "trainable": True, "count": 150}"""
    def get_parameter(self, index: int) -> NDArray[np.float32]: ...
    def set_parameter(self, index: int, value: NDArray[np.float32]) -> None: ...
    def set_trainable(self, index: int, trainable: bool) -> None: ...
    def set_layer_trainable(self, layer: str, trainable: bool) -> None:
        """All parameters of the layer that ever train; a frozen batch normalisation runs on its
        moving statistics."""
    def set_regularizer(self, index: int, l1: float, l2: float) -> None:
        """The loss has l1 * sum |w| + l2 * sum w^2 more, while the parameter is trainable."""
    def set_weight_decay(self, index: int, on: bool) -> None:
        """Whether the optimizer's weight decay is for this parameter; it is, by default."""
    def set_learning_rate_multiplier(self, index: int, factor: float) -> None:
        """This parameter's learning rate over the optimizer's; weight decay's is not changed."""
    def set_orthogonal(self, index: int, on: bool) -> None:
        """Whether muon moves this parameter as a matrix; it does not, by default."""
    @overload
    def compile(
        self, losses: Sequence[LossSpec | None],
        optimizer: str, optimizer_options: Mapping[str, Any],
        schedule: tuple[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Forgets an earlier optimizer's state; changes nothing when it raises.

        losses: by output, (kind, options[, weight]); None: no loss. Kinds:
        sparse_categorical_crossentropy | categorical_crossentropy | binary_crossentropy
        (all from_logits label_smoothing) | mean_squared_error | mean_absolute_error |
        huber (delta) | hinge | kl_divergence | map (j).
        optimizer: sgd (momentum nesterov) | adam | adamw (beta_1 beta_2 epsilon) |
        rmsprop (rho momentum epsilon centered) | sdlm (mu) |
        muon (momentum nesterov newton_schulz_rounds normalize); all take learning_rate weight_decay
        clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency
        gradient_accumulation_steps; ema_momentum may be a schedule."""
    @overload
    def compile(
        self, loss: str, loss_options: Mapping[str, float | bool],
        optimizer: str, optimizer_options: Mapping[str, Any],
        schedule: tuple[str, Mapping[str, Any]] | None = None,
    ) -> None: ...
    learning_rate: float
    """The rate of the next step (a schedule's value at `iterations`); assigning ends the schedule."""
    iterations: int
    """Batches trained; a schedule's clock."""
    samples_seen: int
    """Samples trained, modulo 2^32; with the seed, the key of dropout's masks."""
    check_numerics: bool
    precision: str
    def profile(self, x: Any, y: Any = None, repeats: int = 5) -> dict[str, Any]:
        """{"seconds", "threads", "other", "layers": [{"name", "method", "forward", "backward",
        "macs", "backward_products", "forward_bytes", "backward_bytes"}, ..]}: "seconds" of a
        batch, all other times summed over threads; medians of `repeats` runs. With y a training
        step's, but nothing is updated."""
    @overload
    def train_batch(
        self, x: Sequence[NDArray[Any]], rows: NDArray[np.int64] | None,
        y: Sequence[NDArray[Any] | None],
        sample_weight: Sequence[NDArray[np.float32] | None] | None = None,
        outputs: Sequence[NDArray[np.float32] | None] | None = None,
    ) -> tuple[float, list[float], list[int]]:
        """One optimizer step. x: float32 or uint8, C-contiguous [N, ...]; rows picks the batch's
        samples from x, y and sample_weight (None: all, in order). y: int64 [N] or float32 [N, K].
        Returns (weighted loss, mean loss by output, samples classified right by output).
        outputs: [batch, K], filled where given."""
    @overload
    def train_batch(
        self, x: NDArray[Any], rows: NDArray[np.int64] | None, y: NDArray[Any],
        sample_weight: NDArray[np.float32] | None = None,
        outputs: NDArray[np.float32] | None = None,
    ) -> tuple[float, int]: ...
    @overload
    def test_batch(
        self, x: Sequence[NDArray[Any]], rows: NDArray[np.int64] | None,
        y: Sequence[NDArray[Any] | None],
        sample_weight: Sequence[NDArray[np.float32] | None] | None = None,
        outputs: Sequence[NDArray[np.float32] | None] | None = None,
    ) -> tuple[float, list[float], list[int]]: ...
    @overload
    def test_batch(
        self, x: NDArray[Any], rows: NDArray[np.int64] | None, y: NDArray[Any],
        sample_weight: NDArray[np.float32] | None = None,
        outputs: NDArray[np.float32] | None = None,
    ) -> tuple[float, int]: ...
    @overload
    def predict(self, x: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """All samples of x (float32 or uint8, C-contiguous) in one call: [N, *output shape]."""
    @overload
    def predict(self, x: NDArray[Any]) -> NDArray[np.float32]: ...
    @overload
    def gradients(
        self, x: Sequence[NDArray[Any]], y: Sequence[NDArray[Any] | None],
        sample_weight: Sequence[NDArray[np.float32] | None] | None = None, training: bool = False,
    ) -> tuple[float, list[NDArray[np.float32]], list[NDArray[np.float32]]]:
        """(loss, a gradient per parameter, one per input); nothing is updated."""
    @overload
    def gradients(
        self, x: NDArray[Any], y: NDArray[Any], sample_weight: NDArray[np.float32] | None = None,
        training: bool = False,
    ) -> tuple[float, list[NDArray[np.float32]], NDArray[np.float32]]: ...
    def estimate_curvature(
        self, x: NDArray[Any] | Sequence[NDArray[Any]], rows: NDArray[np.int64] | None,
        y: NDArray[Any] | Sequence[NDArray[Any] | None],
    ) -> None:
        """Gauss-Newton diagonal for sdlm, averaged over the samples given."""
    def curvature(self, index: int) -> NDArray[np.float32]: ...
    def optimizer_state(self) -> dict[str, NDArray[np.float32]]:
        """Flat slot buffers by name, in the flat parameter order; empty before the first step."""
    def set_optimizer_state(self, state: Mapping[str, NDArray[np.float32]]) -> None: ...
    def use_average(self, on: bool) -> None:
        """Puts the weights' moving averages (use_ema) in the weights' place, and back."""
    @property
    def average_in_use(self) -> bool: ...
    def freeze(self) -> None: ...
    @property
    def frozen(self) -> bool: ...
    def overwrite_with_average(self) -> None:
        """The weights become their moving averages."""
    def memory(self, batch: int, training: bool = True) -> dict[str, int]: ...
    def weights_hash(self) -> str:
        """SHA-256 free: a 64-bit FNV-1a of all parameter bytes, as 16 hex digits."""

def schedule_value(kind: str, options: Mapping[str, Any], step: int) -> float:
    """constant(value) step(initial, factor, every) exponential(initial, rate, every, staircase)
    cosine(initial, steps, final_fraction, warmup_steps, warmup_target) one_cycle(maximum, steps, pct_start,
    div_factor, final_div_factor) piecewise(boundaries, values): as PyTorch/Keras define them;
    linear(boundaries, values): straight lines between."""

def shuffled(n: int, seed: int, epoch: int) -> NDArray[np.int64]: ...
def philox4x32(counter: Sequence[int], key: Sequence[int]) -> tuple[int, int, int, int]: ...
def isa() -> str: ...
def available_isas() -> list[str]: ...
def has_bfloat16() -> bool: ...
def num_threads() -> int: ...
def thread_reason() -> str: ...
def set_num_threads(threads: int) -> None: ...
def parallel_backend() -> str: ...
def compiler() -> str: ...
class LayerBench:
    """One layer of one input by itself, as a training step of a network runs it; for benchmarks.

    wide: as in a network of 2^21 parameters and more; else with samples in lanes where the layer
    can. Numbers are made up; weights are packed once."""

    def __init__(self, graph: Graph, value: int, batch: int, wide: bool = True) -> None: ...
    @property
    def passes(self) -> list[str]:
        """Of "forward", "input gradient", "weight gradient" and "all gradients" those it has."""
    def run(self, name: str) -> None:
        """One pass over the whole batch, on get_num_threads() threads."""

def measure_fma_peak(threads: int) -> float: ...
def read_idx(path: str) -> NDArray[Any]: ...
def write_idx(path: str, array: NDArray[Any]) -> None: ...
def read_safetensors(path: str) -> tuple[dict[str, str], dict[str, NDArray[Any]]]: ...
def write_safetensors(
    path: str, metadata: Mapping[str, str], tensors: Mapping[str, NDArray[Any]]
) -> None: ...
def uniforms(
    seed: int, epoch: int, place: int, samples: NDArray[np.int64], count: int
) -> NDArray[np.float32]:
    """[len(samples), count] in [0, 1): a sample's numbers depend on (seed, epoch, place, sample)."""
def normals(
    seed: int, epoch: int, place: int, samples: NDArray[np.int64], count: int
) -> NDArray[np.float32]:
    """[len(samples), count] of mean 0 and deviation 1."""
def warp_images(
    images: NDArray[Any], matrices: NDArray[Any], nodes: NDArray[Any] | None = None,
    row_weights: NDArray[Any] | None = None, column_weights: NDArray[Any] | None = None,
    border: str = "constant", fill: float = 0.0, threads: int = 1,
) -> NDArray[np.float32]:
    """images [N, H, W, C], uint8 or float32. With (x, y) = (X, Y) + displacement, pixel (X, Y) is
    read at column m0 x + m1 y + m2, row m3 x + m4 y + m5; matrices [N, 6]. The displacement is
    row_weights [H, R] * nodes [N, 2, R, K] * column_weights [K, W]. border: constant reflect
    nearest."""
def resize_images(
    images: NDArray[Any], height: int, width: int, filter: str = "bilinear",
    boxes: NDArray[Any] | None = None, threads: int = 1,
) -> NDArray[Any]:
    """filter: nearest box bilinear bicubic lanczos3; boxes [N, 4]: top, left, height, width."""
