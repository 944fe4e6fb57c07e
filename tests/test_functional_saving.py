"""Functional models as files: what comes back, and files that lie."""

import json

import numpy as np
import pytest
from striate import Input, Model, Sequential, _core, layers, load_model, naming, set_random_seed
from striate.errors import ArgumentError, FormatError, ShapeError
from striate.models.description import Description

RNG = np.random.default_rng(0)
X = RNG.normal(size=(9, 8, 8, 3)).astype(np.float32)
Y = RNG.integers(0, 3, 9)


@pytest.fixture(autouse=True)
def fresh():
    naming.reset_names()
    set_random_seed(0)


def everything() -> Model:
    """Two inputs, a model nested and called twice, a shared layer, two outputs."""
    x = inner_input = Input((8, 8, 3), name="image")
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(3, 3, name="conv")(x))
    x = layers.Flatten(name="flat")(layers.Dropout(0.2, name="drop")(layers.MaxPooling2D()(x)))
    encoder = Model(inner_input, x, name="encoder")
    stack = Sequential([layers.Dense(4, activation="tanh", name="d")], name="stack")
    shared = layers.Dense(4, name="shared")
    a, b = Input((8, 8, 3), name="a"), Input((8, 8, 3), name="b")
    first, second = encoder(a), encoder(b, training=False)
    x = layers.Concatenate(name="cat")([shared(first), shared(second), stack(first)])
    difference = layers.Subtract(name="sub")([first, second])
    return Model(
        [a, b],
        {
            "label": layers.Dense(3, activation="softmax", name="label")(x),
            "side": layers.Dense(2, name="side")(difference * 0.5),
        },
        name="everything",
    )


def rewrite(path, change) -> None:
    metadata, tensors = _core.read_safetensors(path)
    metadata = dict(metadata)
    architecture = json.loads(metadata["architecture"])
    change(architecture["config"])
    metadata["architecture"] = json.dumps(architecture)
    _core.write_safetensors(path, metadata, dict(tensors))


def test_a_model_comes_back_to_the_bit(tmp_path) -> None:
    model = everything()
    model.compile(
        "adam",
        {"label": "sparse_categorical_crossentropy", "side": "mse"},
        {"label": ["accuracy"], "side": ["mae"]},
        loss_weights={"label": 1, "side": 0.25},
    )
    x = {"a": X, "b": X[::-1].copy()}
    y = {"label": Y, "side": np.ones((9, 2), np.float32)}
    model.fit(x, y, epochs=2, verbose=0)
    model.get_layer("stack").trainable = False
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.get_config() == model.get_config()
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert [w.path for w in again.weights] == [w.path for w in model.weights]
    out, same = model.predict(x), again.predict(x)
    assert list(same) == list(out) and all(np.array_equal(same[k], out[k]) for k in out)
    assert again.weights_hash() == model.weights_hash()
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    assert again.metrics_names == model.metrics_names
    assert again.compiled.loss_weights == [1.0, 0.25]
    assert len(again.trainable_weights) == len(model.trainable_weights)
    assert (again.seed, again.epochs_trained, again.name) == (model.seed, 2, "everything")
    inner = again.get_layer("encoder")
    assert np.array_equal(inner.predict(X), model.get_layer("encoder").predict(X))
    # Nested models are still in step.
    again.fit(x, y, verbose=0)
    assert np.array_equal(inner.get_weights()[0], again.get_weights()[0])


def test_from_config_has_fresh_weights() -> None:
    model = everything()
    again = Model.from_config(json.loads(json.dumps(model.get_config())))
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    out, same = model.predict([X, X]), again.predict([X, X])
    assert all(np.array_equal(out[k], same[k]) for k in out)


def test_an_input_from_the_middle_of_a_network(tmp_path) -> None:
    x = inputs = Input((8, 8, 3))
    x = layers.Conv2D(2, 3, name="conv")(x)
    head = Model(x, layers.GlobalAveragePooling2D()(x), name="head")
    head.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    maps = Model(inputs, x).predict(X)
    assert again.input_names == ["conv"]
    assert np.array_equal(again.predict(maps), head.predict(maps))


def test_loading_leaves_seeds_and_names_alone(tmp_path) -> None:
    everything().save(tmp_path / "m")
    set_random_seed(5)
    load_model(tmp_path / "m")
    assert Sequential([Input((2,)), layers.Dense(2)]).seed == 5


def test_what_a_file_cannot_hold(tmp_path) -> None:
    class Own(layers.Dense):
        pass

    inputs = Input((2,))
    with pytest.raises(FormatError, match="it is not striate's own"):
        Model(inputs, Own(2)(inputs)).save(tmp_path / "m")

    class OwnModel(Model):
        pass

    inner = OwnModel(inputs, layers.Dense(2)(inputs), name="inner")
    with pytest.raises(FormatError, match="inner: a model file cannot hold OwnModel"):
        Model(inputs, inner(inputs)).save(tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_weights_that_do_not_fit(tmp_path) -> None:
    def model(units=4, extra=False):
        x = inputs = Input((3,))
        x = layers.Dense(units, name="first")(x)
        x = layers.Dense(2, name="extra")(x) if extra else x
        return Model(inputs, layers.Dense(2, name="last")(x), name="net")

    model().save_weights(tmp_path / "w")
    for other, match in (
        (model(5), r"first/kernel: the weight has shape \(3, 5\), got \(3, 4\)"),
        (model(4, True), r"holds 4 weights, net has 6: there is nothing for last/kernel \(2, 2\)"),
        (
            model(2, True),
            r"they differ from first/kernel \(3, 2\) on, where the file has first/kern",
        ),
        (
            Model(x := Input((3,)), layers.Dense(4)(x)),
            "holds 4 weights, model has 2: it has nothing",
        ),
    ):
        before = other.weights_hash()
        with pytest.raises(ShapeError, match=match):
            other.load_weights(tmp_path / "w")
        assert other.weights_hash() == before


def set_in(*path):
    """A change of the config: the last of `path` goes where the others lead."""

    def change(config):
        *keys, last, value = path
        for key in keys:
            config = config[key]
        config[last] = value

    return change


def append(*path):
    def change(config):
        *keys, value = path
        for key in keys:
            config = config[key]
        config.append(value)

    return change


HOSTILE = {
    "no name": set_in("name", 3),
    "a name with a slash": set_in("name", "a/b"),
    "no layers": set_in("layers", {}),
    "a cycle": set_in("nodes", 2, "inputs", [[7, 0]]),
    "a node that is its own input": set_in("nodes", 2, "inputs", [[2, 0]]),
    "a node that is not there": set_in("nodes", 2, "inputs", [[99, 0]]),
    "a negative node": set_in("nodes", 2, "inputs", [[-1, 0]]),
    "a node by bool": set_in("nodes", 2, "inputs", [[True, 0]]),
    "an output that is not there": set_in("nodes", 2, "inputs", [[0, 1]]),
    "no pair": set_in("nodes", 2, "inputs", [0]),
    "no list of inputs": set_in("nodes", 2, "inputs", {}),
    "too many inputs": set_in("nodes", 2, "inputs", [[0, 0], [1, 0]]),
    "no inputs": set_in("nodes", 2, "inputs", []),
    "an input with inputs": set_in("nodes", 1, "inputs", [[0, 0]]),
    "a layer that is not there": set_in("nodes", 2, "layer", 99),
    "a layer by name": set_in("nodes", 2, "layer", "encoder"),
    "a negative layer": set_in("nodes", 2, "layer", -1),
    "training on": set_in("nodes", 2, "training", True),
    "a node that is none": set_in("nodes", 2, 7),
    "nodes that are none": set_in("nodes", 7),
    "an unused layer": append("layers", {"class": "Dense", "config": {"name": "u", "units": 2}}),
    "an unknown layer": append("layers", {"class": "Lambda", "config": {}}),
    "a model of unknown class": append("layers", {"class": "Model", "config": {}}),
    "a nested model without config": append("layers", {"class": "Functional"}),
    "an empty nested model": append("layers", {"class": "Functional", "config": {}}),
    "an input too few": set_in("inputs", {"kind": "single", "names": ["a"], "tensors": [[0, 0]]}),
    "inputs without names": set_in("inputs", "names", []),
    "inputs of no kind": set_in("inputs", "kind", "set"),
    "no outputs": set_in("outputs", {"kind": "list", "names": [], "tensors": []}),
    "outputs that are inputs": set_in(
        "outputs", {"kind": "list", "names": ["a", "b"], "tensors": [[0, 0], [1, 0]]}
    ),
    "outputs of one name": set_in("outputs", "names", ["a", "a"]),
    "outputs by number": set_in("outputs", "names", [1, 2]),
    "outputs twice as inputs": set_in("inputs", "tensors", [[0, 0], [0, 0]]),
    "too many nodes": set_in("nodes", [{"layer": 0, "inputs": []}] * 10_001),
    "a huge layer": set_in("layers", 2, "config", "layers", 1, "config", "filters", 10**12),
    "another shape": set_in("layers", 0, "config", "shape", [12, 9, 3]),
    "two of one name": set_in("layers", 3, "config", "name", "cat"),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_hostile_architectures(tmp_path, change) -> None:
    everything().save(tmp_path / "m")
    rewrite(tmp_path / "m", change)
    with pytest.raises(FormatError):
        load_model(tmp_path / "m")


def test_what_a_cycle_is_told() -> None:
    config = everything().get_config()
    config["nodes"][2]["inputs"] = [[2, 0]]
    match = r"node 2 \(encoder\): refers to node 2, which does not come before it: a graph has no"
    with pytest.raises(FormatError, match=match):
        Model.from_config(config)


def test_models_nested_in_each_other_do_not_explode(tmp_path) -> None:
    """Thirty models, each calling the one inside it twice: 2^30 layers in a small file."""
    x = Input((2,))
    model = Model(x, layers.Activation("tanh")(x), name="m0")
    for depth in range(1, 31):
        x = Input((2,))
        model = Model(x, model(model(x)), name=f"m{depth}")
    match = "m30: has more than 10000 layers, nested ones counted"
    with pytest.raises(ArgumentError, match=match):
        Description(model.topology, model.name)
    config = model.get_config()
    head = {"format": "striate", "format_version": "1", "weights": "[]"}
    architecture = json.dumps({"class": "Functional", "config": config})
    _core.write_safetensors(str(tmp_path / "m"), {**head, "architecture": architecture}, {})
    with pytest.raises(FormatError, match="more than 10000 layers"):
        load_model(tmp_path / "m")


@pytest.mark.parametrize("depth", [100, 400, 20_000])
def test_models_nested_too_deep(tmp_path, depth) -> None:
    ends = {"kind": "single", "names": ["x"], "tensors": [[0, 0]]}
    level = {
        "class": "Functional",
        "config": {
            "name": "m",
            "layers": [{"class": "InputLayer", "config": {"name": "x", "shape": [2]}}, "INNER"],
            "nodes": [{"layer": 0, "inputs": []}, {"layer": 1, "inputs": [[0, 0]]}],
            "inputs": ends,
            "outputs": {**ends, "tensors": [[1, 0]]},
        },
    }
    before, after = json.dumps(level).split('"INNER"')
    inner = json.dumps({"class": "Activation", "config": {"name": "a", "activation": "tanh"}})
    text = before * depth + inner + after * depth  # json.dumps would not go that deep
    head = {"format": "striate", "format_version": "1", "weights": "[]", "architecture": text}
    _core.write_safetensors(str(tmp_path / "m"), head, {})
    if depth == 100:
        assert load_model(tmp_path / "m").predict(np.zeros((1, 2))).tolist() == [[0, 0]]
        return
    with pytest.raises(FormatError):
        load_model(tmp_path / "m")


@pytest.mark.parametrize(
    "compiled",
    [
        {"loss": "mse", "optimizer": "sgd", "metrics": [[], []]},
        {"loss": ["mse"], "optimizer": "sgd", "metrics": [[], []]},
        {"loss": ["mse", "evil"], "optimizer": "sgd", "metrics": [[], []]},
        {"loss": ["mse", None], "optimizer": "sgd", "metrics": ["mae", []]},
        {"loss": ["mse", None], "optimizer": "sgd", "metrics": [[3], []]},
        {"loss": ["mse", "mse"], "optimizer": "sgd", "metrics": [[], []], "loss_weights": 3},
        {"loss": ["mse", "mse"], "optimizer": "sgd", "metrics": [[], []], "loss_weights": ["a", 1]},
    ],
    ids=str,
)
def test_hostile_compile_settings(tmp_path, compiled) -> None:
    inputs = Input((2,))
    outputs = [layers.Dense(2, name=name)(inputs) for name in "ab"]
    Model(inputs, outputs).save(tmp_path / "m")
    metadata, tensors = _core.read_safetensors(tmp_path / "m")
    metadata = {**metadata, "compile": json.dumps(compiled)}
    _core.write_safetensors(tmp_path / "m", metadata, dict(tensors))
    with pytest.raises(FormatError):
        load_model(tmp_path / "m")


def test_every_flipped_byte_is_refused_or_loads_a_model(tmp_path) -> None:
    inputs = Input((2,), name="x")
    x = layers.Dense(2, name="d")(inputs)
    Model(inputs, layers.Activation("tanh", name="t")(x + inputs)).save(tmp_path / "m")
    whole = (tmp_path / "m").read_bytes()
    for at in range(len(whole)):
        for mask in (0x01, 0xFF):
            damaged = bytearray(whole)
            damaged[at] ^= mask
            (tmp_path / "t").write_bytes(damaged)
            try:
                load_model(tmp_path / "t").get_weights()
            except FormatError:
                continue
