"""Every loss, and small networks of many layers, against float64; and bugs that such nets found."""

import numpy as np
import pytest
import small_nets
from numerics import LOSSES
from small_nets import FLATTEN, Layer, Net, act, conv, dense, pool
from striate import _core

CODES = np.where(np.random.default_rng(1).random((3, 6)) < 0.5, -1, 1).astype(np.float32)
TABLE = np.array([[1, 1, 0, 1], [0, 1, 1, 1], [1, 0, 1, 1]], dtype=bool)
LOGITS = {"from_logits": True}
SPARSE, CATEGORICAL = "sparse_categorical_crossentropy", "categorical_crossentropy"
BINARY, SQUARED = "binary_crossentropy", "mean_squared_error"


def loss_net(name: str, last: str, loss: str, **options: float | bool) -> Net:
    return Net(name, (6,), (dense(5), act(last)), loss, options)


LOSS_NETS = [
    loss_net("sparse_logits", "linear", SPARSE, **LOGITS),
    loss_net("sparse_fused_softmax", "softmax", SPARSE),
    loss_net("sparse_softmax_as_logits", "softmax", SPARSE, **LOGITS),
    loss_net("sparse_probabilities", "sigmoid", SPARSE),
    loss_net("categorical_logits", "linear", CATEGORICAL, **LOGITS),
    loss_net("categorical_fused_softmax", "softmax", CATEGORICAL),
    loss_net("categorical_probabilities", "sigmoid", CATEGORICAL),
    loss_net("binary_logits", "linear", BINARY, **LOGITS),
    loss_net("binary_probabilities", "sigmoid", BINARY),
    loss_net("sparse_smoothed_logits", "linear", SPARSE, label_smoothing=0.2, **LOGITS),
    loss_net("sparse_smoothed_softmax", "softmax", SPARSE, label_smoothing=0.1),
    loss_net("sparse_smoothed_probabilities", "sigmoid", SPARSE, label_smoothing=0.3),
    loss_net("categorical_smoothed", "softmax", CATEGORICAL, label_smoothing=0.2),
    loss_net("categorical_all_smooth", "softmax", CATEGORICAL, label_smoothing=1.0),
    loss_net("binary_smoothed_logits", "linear", BINARY, label_smoothing=0.2, **LOGITS),
    loss_net("binary_smoothed", "sigmoid", BINARY, label_smoothing=0.3),
    loss_net("squared", "linear", SQUARED),
    loss_net("absolute", "linear", "mean_absolute_error"),
    loss_net("huber", "linear", "huber"),
    loss_net("huber_half", "linear", "huber", delta=0.5),
    loss_net("hinge", "linear", "hinge"),
    loss_net("kl_divergence", "softmax", "kl_divergence"),
    loss_net("kl_divergence_of_sigmoids", "sigmoid", "kl_divergence"),
    loss_net("map", "silu", "map"),
    loss_net("map_j_2", "silu", "map", j=2.0),
]


@pytest.mark.parametrize("batch", [1, 3, 8, 19])
@pytest.mark.parametrize("net", LOSS_NETS, ids=lambda net: net.name)
def test_losses(net: Net, batch: int) -> None:
    small_nets.check_gradients(net, batch, seed=20 + batch)


def test_all_losses_are_there() -> None:
    assert {net.loss for net in LOSS_NETS} == set(LOSSES)


def image_loss(name: str, last: str, loss: str, **options: float | bool) -> Net:
    """An output [2, 3, 4]: six positions of four classes."""
    return Net(name, (3, 4, 2), (conv(4, (2, 2)), act(last)), loss, options)


IMAGE_LOSS_NETS = [
    image_loss("sparse_logits", "linear", SPARSE, **LOGITS),
    image_loss("sparse_fused_softmax", "softmax", SPARSE, label_smoothing=0.1),
    image_loss("sparse_probabilities", "sigmoid", SPARSE),
    image_loss("categorical_fused_softmax", "softmax", CATEGORICAL),
    image_loss("categorical_logits", "linear", CATEGORICAL, label_smoothing=0.2, **LOGITS),
    image_loss("kl_divergence", "softmax", "kl_divergence"),
    image_loss("binary", "sigmoid", BINARY),
    image_loss("squared", "tanh", SQUARED),
    image_loss("absolute", "linear", "mean_absolute_error"),
]


@pytest.mark.parametrize("batch", [1, 3, 8, 19])
@pytest.mark.parametrize("net", IMAGE_LOSS_NETS, ids=lambda net: net.name)
def test_losses_at_every_position(net: Net, batch: int) -> None:
    small_nets.check_gradients(net, batch, seed=40 + batch)
    network = small_nets.build(net)
    data = small_nets.make_data(net, network, batch, seed=41)
    handed_out = np.zeros((batch, 2, 3, 4), np.float32)
    _, right = network.test_batch(data.x, None, data.y, None, handed_out)
    np.testing.assert_allclose(handed_out, network.predict(data.x), rtol=1e-6)
    if net.loss in (SPARSE, CATEGORICAL):
        labels = data.y if net.loss == SPARSE else data.y.reshape(handed_out.shape).argmax(axis=-1)
        assert right == (handed_out.argmax(axis=-1) == labels).sum()


@pytest.mark.parametrize("batch", [3, 19])
def test_regularizers(batch: int) -> None:
    """Loss and gradients have the penalties of the trainable parameters, and of no others."""
    net = COMPOSED[0]
    network = small_nets.build(net)
    rules = {0: (0.02, 0.0), 1: (0.0, 0.3), 2: (0.05, 0.1), 6: (0.5, 0.5)}
    plain = small_nets.make_data(net, network, batch, seed=50)
    before = network.gradients(plain.x, plain.y)
    for index, (l1, l2) in rules.items():
        network.set_regularizer(index, l1, l2)
    network.set_trainable(6, False)
    after = network.gradients(plain.x, plain.y)
    penalty = 0.0
    for index, w in enumerate(small_nets.parameters(network)):
        l1, l2 = (0.0, 0.0) if index == 6 else rules.get(index, (0.0, 0.0))
        penalty += l1 * np.abs(w).sum() + l2 * np.square(w).sum()
        want = before[1][index] + l1 * np.sign(w) + 2 * l2 * w
        np.testing.assert_allclose(after[1][index], want, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(after[2], before[2])
    assert penalty > 0.1
    assert after[0] == pytest.approx(before[0] + penalty, rel=1e-6)
    assert network.test_batch(plain.x, None, plain.y)[0] == pytest.approx(after[0], rel=1e-6)
    assert network.train_batch(plain.x, None, plain.y)[0] == pytest.approx(after[0], rel=1e-6)
    assert network.test_batch(plain.x, None, plain.y)[0] != pytest.approx(after[0], rel=1e-6)


POOL_2 = pool("max", (2, 2), (2, 2))
AVG_2 = pool("avg", (2, 2), (2, 2))
SUBSAMPLE: Layer = ("subsample2d", {"window": (2, 2), "strides": (2, 2)})
RBF: Layer = ("rbf", {"codes": CODES})

COMPOSED = [
    Net("lenet5", (12, 12, 1), (
        conv(3, (3, 3), padding="same"), act("relu"), POOL_2, conv(4, (3, 3)), act("relu"),
        POOL_2, FLATTEN, dense(6), act("relu"), dense(4), act("softmax")), SPARSE),
    Net("lenet5_1998", (10, 10, 1), (
        conv(3, (3, 3)), act("scaled_tanh"), SUBSAMPLE, act("scaled_tanh"),
        conv(4, (2, 2), connections=TABLE), act("scaled_tanh"), conv(6, (3, 3)),
        act("scaled_tanh"), FLATTEN, dense(6), act("scaled_tanh"), RBF), "map", {"j": 0.1}),
    Net("all_convolutional", (8, 8, 2), (
        conv(4, (3, 3), strides=(2, 2), padding="same"), act("gelu"),
        conv(4, (3, 3), padding="same"), act("silu"), conv(3, (1, 1)),
        ("global_avg_pool2d", {})), SPARSE, LOGITS),
    Net("separable", (6, 6, 2), (
        conv(4, (3, 3), groups=2, padding="same"), act("relu"), conv(5, (1, 1)), act("relu"),
        ("global_max_pool2d", {}), dense(3), act("softmax")), CATEGORICAL),
    Net("perceptron", (7,), (
        dense(9), act("gelu"), dense(8), act("silu"), dense(4)), SPARSE, LOGITS),
    Net("autoencoder", (8,), (
        dense(3), act("tanh"), dense(8), act("sigmoid")), SQUARED),
    Net("binary", (6, 6, 1), (
        conv(4, (3, 3)), act("elu", 1.0), AVG_2, FLATTEN, dense(2), act("sigmoid")), BINARY),
    Net("max_pool_swaps_with_tanh", (7, 7, 2), (
        conv(3, (2, 2)), act("tanh"), pool("max", (3, 3), (2, 2), padding="same"),
        conv(2, (2, 2)), act("leaky_relu", 0.2), POOL_2, FLATTEN, dense(3)), SQUARED),
    Net("gelu_stays_before_max_pool", (6, 6, 1), (
        conv(3, (3, 3)), act("gelu"), POOL_2, FLATTEN, dense(3)), SPARSE, LOGITS),
    Net("activations_in_a_row", (5,), (
        dense(4), act("tanh"), act("sigmoid"), act("silu"), act("elu", 0.5), act("relu"),
        dense(3), act("tanh"), act("softmax")), SPARSE),
    Net("softmax_inside", (4, 4, 2), (
        conv(3, (2, 2)), act("softmax"), AVG_2, FLATTEN, dense(4), act("softmax"), dense(3)),
        BINARY, LOGITS),
    Net("dilated_and_strided", (9, 9, 1), (
        conv(3, (3, 3), dilation=(2, 2), padding="same"), act("relu"),
        conv(4, (3, 2), strides=(2, 3), padding=((1, 0), (0, 1))), act("scaled_tanh"),
        SUBSAMPLE, FLATTEN, dense(3), act("elu", 0.7), act("softmax")), SPARSE),
    Net("dropout_off", (5,), (
        ("dropout", {"rate": 0.3}), dense(6), ("dropout", {"rate": 0.5}), act("tanh"), dense(3),
        ("dropout", {"rate": 0.5}), act("softmax"), ("dropout", {"rate": 0.1})), SPARSE),
    Net("pools_in_a_row", (9, 9, 2), (
        act("tanh"), POOL_2, POOL_2, conv(3, (2, 2)), ("global_max_pool2d", {"keepdims": True}),
        FLATTEN, dense(3)), SQUARED),
]  # fmt: skip


@pytest.mark.parametrize("batch", [2, 8, 19])
@pytest.mark.parametrize("net", COMPOSED, ids=lambda net: net.name)
def test_composed(net: Net, batch: int) -> None:
    small_nets.check_gradients(net, batch, seed=30 + batch, most=60)


def test_shards_of_several_blocks_add_up() -> None:
    """300 samples are 19 blocks in 16 shards: some blocks add to what others wrote."""
    small_nets.check_gradients(COMPOSED[6], 300, seed=5, most=20)


def test_shards_of_several_blocks_add_up_channels_in_lanes() -> None:
    """Images too large for a block of more than one: 18 blocks in 16 shards."""
    layers = pool("avg", (73, 73), (73, 73)), conv(4, (3, 3)), act("tanh"), FLATTEN, dense(5)
    network = small_nets.build(Net("large", (730, 730, 1), layers))  # over 2^19 floats a sample
    rng = np.random.default_rng(2)
    x = np.repeat(np.repeat(rng.normal(size=(18, 10, 10, 1)), 73, axis=1), 73, axis=2)
    x = x.astype(np.float32)
    y = rng.normal(size=(18, 5)).astype(np.float32)
    loss, together, dx = network.gradients(x, y)
    alone = [network.gradients(x[i : i + 1], y[i : i + 1]) for i in range(18)]
    assert loss == pytest.approx(np.mean([one[0] for one in alone]), rel=1e-6)
    for i, gradient in enumerate(together):
        mean = np.mean([one[1][i] for one in alone], axis=0, dtype=np.float64)
        np.testing.assert_allclose(gradient, mean, rtol=1e-5, atol=1e-6)
    want = np.concatenate([one[2] for one in alone])
    np.testing.assert_allclose(dx * 18, want, rtol=0, atol=1e-6 * np.abs(want).max())


@pytest.mark.parametrize("batch", [3, 19])
@pytest.mark.parametrize(
    "before", ["linear", "relu", "leaky_relu", "sigmoid", "tanh", "scaled_tanh", "softmax", "gelu"]
)
def test_fused_softmax_leaves_the_layer_before_alone(before: str, batch: int) -> None:
    """The fused pair once wrote probabilities over values that `before` takes its slope from."""
    net = Net(before, (5,), (dense(4), act(before), act("softmax")), SPARSE)
    small_nets.check_gradients(net, batch, seed=6)
    network = small_nets.build(net)
    data = small_nets.make_data(net, network, batch, seed=7)
    handed_out = np.zeros((batch, 4), np.float32)
    network.test_batch(data.x, None, data.y, None, handed_out)
    np.testing.assert_allclose(handed_out, network.predict(data.x), rtol=1e-6)


@pytest.mark.parametrize("batch", [3, 19])
def test_a_network_without_parameters_has_gradients(batch: int) -> None:
    """Once a crash: no memory for gradient shards, so no shards."""
    small_nets.check_gradients(Net("no parameters", (6,), (act("tanh"),)), batch, seed=8)


def test_a_failed_gradients_call_does_not_thaw_frozen_weights() -> None:
    """Once it left its list of gradients, frozen ones included, to the next training step."""
    graph = _core.Graph()
    value = graph.dense(graph.input((5,)), name="frozen", units=4, trainable=False)
    network = _core.Network(graph, graph.dense(value, name="head", units=3), 1)
    options = {"learning_rate": 0.1, "weight_decay": 0.5}
    network.compile(SPARSE, LOGITS, "sgd", options)
    x = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    y = np.array([0, 1, 2])
    before = [network.get_parameter(i) for i in range(4)]
    assert np.any(network.gradients(x, y)[1][0] != 0), "frozen weights have a gradient to look at"
    network.check_numerics = True
    with pytest.raises(_core.NumericsError, match="input: NaN in sample 1"):
        network.gradients(np.where(np.arange(15).reshape(3, 5) == 7, np.float32("nan"), x), y)
    network.check_numerics = False
    network.train_batch(x, None, y)
    after = [network.get_parameter(i) for i in range(4)]
    assert [np.array_equal(*pair) for pair in zip(before, after, strict=True)] == [
        True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("bad", [np.arange(3, dtype=np.int32), np.arange(6)[::2], [0, 1, 2]])
def test_rows_that_would_need_a_copy_are_refused(bad: object) -> None:
    """Once the copy was made and freed before the batch ran."""
    network = small_nets.build(LOSS_NETS[0])
    x, y = np.zeros((6, 6), np.float32), np.zeros(6, np.int64)
    with pytest.raises(_core.ShapeError, match="rows must be C-contiguous int64"):
        network.train_batch(x, bad, y)


@pytest.mark.parametrize("bad", [np.ones(6, np.float16), np.ones(6), np.ones(12, np.float32)[::2]])
def test_weights_that_would_need_a_copy_are_refused(bad: object) -> None:
    network = small_nets.build(LOSS_NETS[0])
    x, y = np.zeros((6, 6), np.float32), np.zeros(6, np.int64)
    with pytest.raises(_core.ShapeError, match="sample_weight must be C-contiguous float32"):
        network.gradients(x, y, bad)


@pytest.mark.parametrize("batch", [3, 19])
def test_bytes_are_their_numbers(batch: int) -> None:
    network = small_nets.build(COMPOSED[0])
    rng = np.random.default_rng(9)
    x, y = rng.integers(0, 256, size=(batch, 12, 12, 1), dtype=np.uint8), np.arange(batch) % 4
    loss, gradients, dx = network.gradients(x, y)
    floats = network.gradients(x.astype(np.float32), y)
    assert loss == floats[0]
    for got, want in zip([dx, *gradients], [floats[2], *floats[1]], strict=True):
        np.testing.assert_array_equal(got, want)
