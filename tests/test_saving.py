"""Model files: what comes back, and what a damaged or hostile one does."""

import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from striate import Input, Sequential, _core, layers, load_model, naming, set_random_seed
from striate.errors import ArgumentError, FormatError, ShapeError, StriateWarning
from striate.losses import MAPLoss
from striate.optimizers import SGD
from striate.schedules import CosineDecay

RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 8, 8, 2)).astype(np.float32)
Y = RNG.integers(0, 3, 7)


@pytest.fixture(autouse=True)
def fresh():
    naming.reset_names()
    set_random_seed(0)


def network() -> Sequential:
    return Sequential(
        [
            Input((8, 8, 2)),
            layers.Conv2D(
                4, 3, padding="same", activation="relu", connections=[[1, 0, 1, 1], [0, 1, 1, 0]]
            ),
            layers.Subsampling2D(2, activation="scaled_tanh"),
            layers.Conv2D(4, 3, padding=((1, 0), (0, 1)), groups=2, strides=2, use_bias=False),
            layers.LeakyReLU(0.1),
            layers.MaxPooling2D(2, strides=1, padding="same"),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(5, activation="tanh", kernel_initializer="he_normal"),
            layers.Dense(3, activation="softmax"),
        ]
    )


def little() -> Sequential:
    return Sequential([Input((2,)), layers.Dense(2, name="d")])


def rewrite(path, change_metadata=None, change_tensors=None) -> None:
    """The same file with its metadata or tensors changed, well-formed as safetensors."""
    metadata, tensors = _core.read_safetensors(path)
    metadata, tensors = dict(metadata), dict(tensors)
    if change_metadata:
        change_metadata(metadata)
    if change_tensors:
        change_tensors(tensors)
    _core.write_safetensors(path, metadata, tensors)


def test_a_model_comes_back_to_the_bit(tmp_path) -> None:
    model = network()
    model.compile(
        SGD(CosineDecay(0.1, 10), momentum=0.5), "sparse_categorical_crossentropy", ["acc"]
    )
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "m.striate")
    again = load_model(tmp_path / "m.striate")
    assert np.array_equal(again.predict(X), model.predict(X))
    assert again.get_config() == model.get_config()
    assert again.weights_hash() == model.weights_hash()
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    assert again.metrics_names == ["loss", "acc"]
    assert again.optimizer.as_core() == model.optimizer.as_core()
    assert (again.seed, again.epochs_trained) == (model.seed, 2)


def test_an_uncompiled_model_comes_back_uncompiled(tmp_path) -> None:
    network().save(tmp_path / "m")
    assert not load_model(tmp_path / "m").is_compiled
    model = network()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save(tmp_path / "m")
    assert not load_model(tmp_path / "m", compile=False).is_compiled


def test_loading_does_not_disturb_seeds(tmp_path) -> None:
    little().save(tmp_path / "m")
    set_random_seed(5)
    load_model(tmp_path / "m")
    assert little().seed == 5


def test_lenet5_of_1998_comes_back(tmp_path) -> None:
    model = Sequential([Input((3,)), layers.RBFOutput([[0, 1, 0.1], [1, 0, 0.3]])])
    model.compile("sdlm", MAPLoss(0.2))
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    x = RNG.normal(size=(4, 3)).astype(np.float32)
    assert np.array_equal(again.predict(x), model.predict(x))
    assert again.loss.options() == {"j": 0.2}


def test_what_a_file_cannot_hold_warns(tmp_path) -> None:
    from striate import errors

    errors._warned.clear()
    model = little()
    model.compile("sgd", "mse", [lambda y_true, y_pred: 0.0, "mae"])
    with pytest.warns(StriateWarning, match="only metrics given by name"):
        model.save(tmp_path / "m")
    assert load_model(tmp_path / "m").metrics_names == ["loss", "mae"]

    class Own(layers.Dense):
        pass

    with pytest.raises(FormatError, match="it is not striate's own"):
        Sequential([Input((2,)), Own(2)]).save(tmp_path / "n")
    assert not (tmp_path / "n").exists()


def test_what_the_model_says_of_itself_travels_with_it(tmp_path) -> None:
    model = Sequential([Input((4,)), layers.Dense(2)])
    model.save(tmp_path / "plain.safetensors")
    assert load_model(tmp_path / "plain.safetensors").metadata == {}
    model.metadata = {"classes": ["cat", "dog"], "shorter_side": 256}
    model.save(tmp_path / "said.safetensors")
    assert load_model(tmp_path / "said.safetensors").metadata == model.metadata
    metadata, tensors = _core.read_safetensors(str(tmp_path / "said.safetensors"))
    for facts in ("[1]", "{", "7"):
        _core.write_safetensors(
            str(tmp_path / "bad.safetensors"), metadata | {"facts": facts}, tensors
        )
        with pytest.raises(FormatError, match="facts is not"):
            load_model(tmp_path / "bad.safetensors")


def test_weights_alone(tmp_path) -> None:
    a, b = network(), network()  # b's automatic names differ from a's
    assert a.weights[0].path != b.weights[0].path
    a.save_weights(tmp_path / "w")
    b.load_weights(tmp_path / "w")
    assert np.array_equal(a.predict(X), b.predict(X))
    with pytest.raises(FormatError, match="holds weights only, for load_weights"):
        load_model(tmp_path / "w")


def test_weights_from_a_whole_model(tmp_path) -> None:
    a, b = network(), network()
    a.save(tmp_path / "m")
    b.load_weights(tmp_path / "m")
    assert np.array_equal(a.predict(X), b.predict(X))


def test_weights_that_do_not_fit_change_nothing(tmp_path) -> None:
    Sequential([Input((2,)), layers.Dense(3, name="d")]).save_weights(tmp_path / "wide")
    Sequential([Input((2,)), layers.Dense(2), layers.Dense(2)]).save_weights(tmp_path / "deep")
    _core.write_safetensors(
        str(tmp_path / "type"), {}, {"d/kernel": np.zeros((2, 2)), "d/bias": np.zeros(2)}
    )
    _core.write_safetensors(str(tmp_path / "foreign"), {}, {"a": np.zeros(2, np.float32)})
    model = little()
    before = model.weights_hash()
    for name, error in (
        ("wide", ShapeError), ("deep", ShapeError), ("type", FormatError), ("foreign", ShapeError),
        ("missing", FileNotFoundError),
    ):  # fmt: skip
        with pytest.raises(error):
            model.load_weights(tmp_path / name)
        assert model.weights_hash() == before


def test_overwrite_false(tmp_path) -> None:
    model = little()
    model.save(tmp_path / "m")
    with pytest.raises(ArgumentError, match="overwrite is False"):
        model.save(tmp_path / "m", overwrite=False)


def test_a_path_that_cannot_be_written_leaves_the_old_file(tmp_path) -> None:
    model = little()
    with pytest.raises(OSError):
        model.save(tmp_path / "no" / "m")
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "kept").write_text("kept")
    with pytest.raises(OSError):
        model.save(folder)
    assert (folder / "kept").read_text() == "kept"
    assert sorted(os.listdir(tmp_path)) == ["m"]


def test_a_full_disk_leaves_the_old_file(tmp_path) -> None:
    model = little()
    model.save(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    # A limit on the size of files fails in the middle of the write, as a full disk does.
    code = (
        "import resource, sys, numpy, striate\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "model = striate.Sequential([striate.Input((100,)), striate.layers.Dense(100)])\n"
        "try:\n"
        "    model.save(sys.argv[1])\n"
        "except OSError:\n"
        "    print('refused')\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "m")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"
    assert (tmp_path / "m").read_bytes() == before and os.listdir(tmp_path) == ["m"]


def test_every_truncation_is_refused(tmp_path) -> None:
    model = little()
    model.save(tmp_path / "m")
    whole = (tmp_path / "m").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "t").write_bytes(whole[:length])
        with pytest.raises(FormatError):
            load_model(tmp_path / "t")
    (tmp_path / "t").write_bytes(whole + b"\0")
    with pytest.raises(FormatError):
        load_model(tmp_path / "t")


def test_every_flipped_byte_is_refused_or_loads_a_model(tmp_path) -> None:
    model = little()
    model.save(tmp_path / "m")
    whole = (tmp_path / "m").read_bytes()
    for at in range(len(whole)):
        for mask in (0x01, 0x80, 0xFF):
            damaged = bytearray(whole)
            damaged[at] ^= mask
            (tmp_path / "t").write_bytes(damaged)
            try:
                assert load_model(tmp_path / "t").predict(np.ones((1, 2))).ndim == 2
            except FormatError:
                continue


def test_headers_that_claim_too_much(tmp_path) -> None:
    path = tmp_path / "t"
    for claimed in (2**63, 2**40, 10**9):
        path.write_bytes(struct.pack("<Q", claimed) + b"{}")
        with pytest.raises(FormatError):
            load_model(path)
    for magic in (b"", b"\x93NUMPY\x01\x00", b"PK\x03\x04" + b"\0" * 60, b"\x89HDF\r\n\x1a\n"):
        path.write_bytes(magic)
        with pytest.raises(FormatError):
            load_model(path)


def test_another_programs_safetensors_file(tmp_path) -> None:
    _core.write_safetensors(str(tmp_path / "t"), {"format": "pt"}, {"a": np.zeros(2, np.float32)})
    with pytest.raises(FormatError, match="of other origin"):
        load_model(tmp_path / "t")


def test_a_newer_format(tmp_path) -> None:
    little().save(tmp_path / "m")
    rewrite(tmp_path / "m", lambda metadata: metadata.update(format_version="2"))
    with pytest.raises(FormatError, match="version '2'.*a newer striate"):
        load_model(tmp_path / "m")
    with pytest.raises(FormatError, match="version '2'"):
        little().load_weights(tmp_path / "m")


def dense(**config):
    return {"class": "Dense", "config": {"name": "d", "units": 2, **config}}


HOSTILE = [
    "not json",
    "[" * 100_000,
    "[]",
    {},
    {"class": "Model", "config": {}},
    {"class": "Sequential"},
    {"class": "Sequential", "config": []},
    {"name": 3},
    {"layers": {}},
    {"layers": [{"class": "Lambda", "config": {"code": "import os"}}]},
    {"layers": [{"class": "Layer", "config": {}}]},
    {"layers": [{"class": ["Dense"], "config": {}}]},
    {"layers": [{"class": "Dense", "config": [1]}]},
    {"layers": [{"class": "Dense", "config": {"units": 2, "evil": 1}}]},
    {"layers": [dense(units=10**12)]},
    {"layers": [dense(units=10**30)]},
    {"layers": [dense(units=-1)]},
    {"layers": [dense(units="2")]},
    {"layers": [dense(activation="evil")]},
    {"layers": [dense(activation={"kind": "elu", "alpha": "x"})]},
    {"layers": [dense(kernel_initializer={"class": "Zeros", "config": {"x": 1}})]},
    {"layers": [dense(kernel_initializer={"class": "os", "config": {}})]},
    {"layers": [dense(kernel_initializer={"class": ["Zeros"], "config": {}})]},
    {"layers": [dense(name=[1])]},
    {"layers": [dense(), dense()]},
    {"layers": [dense()] * 10_001},
    {"layers": []},
    {"layers": "Dense"},
    {"input_shape": None},
    {"input_shape": [2, -1]},
    {"input_shape": [10**10] * 10},
    {"input_shape": [True]},
    {"input_shape": "2"},
    {"input_shape": [1] * 1000},
    {"input_shape": [10**6, 10**6, 1], "layers": [
        {"class": "Conv2D", "config": {"name": "d", "filters": 1, "kernel_size": [1, 1]}},
        {"class": "GlobalMaxPooling2D", "config": {}}]},
    {"input_shape": [4, 4, 1], "layers": [
        {"class": "Conv2D", "config": {"name": "d", "filters": 1, "kernel_size": [60000, 60000],
                                       "padding": "same", "connections": [[0]]}}]},
    {"input_shape": [4, 4, 1], "layers": [
        {"class": "MaxPooling2D", "config": {"padding": [[2**62, 2**62], [2**62, 2**62]]}}]},
    {"input_shape": [4, 4, 1], "layers": [
        {"class": "MaxPooling2D", "config": {"pool_size": [2**62, 1], "strides": [2**62, 1]}}]},
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda h: str(h)[:60])
def test_hostile_architectures(tmp_path, hostile) -> None:
    little().save(tmp_path / "m")

    def change(metadata):
        if isinstance(hostile, str):
            metadata["architecture"] = hostile
            return
        if hostile == [] or hostile == {} or "class" in hostile:
            metadata["architecture"] = json.dumps(hostile)
            return
        config = {"name": "m", "input_shape": [2], "layers": [dense()], **hostile}
        metadata["architecture"] = json.dumps({"class": "Sequential", "config": config})

    rewrite(tmp_path / "m", change)
    with pytest.raises(FormatError):
        load_model(tmp_path / "m")


@pytest.mark.parametrize(
    "compiled",
    [
        "{",
        {"loss": "evil", "optimizer": {"class": "SGD", "config": {}}},
        {"loss": {"class": "MAPLoss", "config": {"j": "x"}}, "optimizer": "sgd"},
        {"loss": "mse", "optimizer": {"class": "SGD", "config": {"learning_rate": {"class": "x"}}}},
        {"loss": "mse", "optimizer": {"class": "SGD", "config": 3}},
        {"loss": "mse", "optimizer": "sgd", "metrics": [3]},
        {"loss": "mse", "optimizer": "sgd", "metrics": "mae"},
    ],
    ids=str,
)
def test_hostile_compile_settings(tmp_path, compiled) -> None:
    little().save(tmp_path / "m")
    text = compiled if isinstance(compiled, str) else json.dumps(compiled)
    rewrite(tmp_path / "m", lambda metadata: metadata.update(compile=text))
    with pytest.raises(FormatError):
        load_model(tmp_path / "m")


@pytest.mark.parametrize("training", ["3", '{"seed": -1}', '{"seed": 1.5}', '{"epochs": "many"}'])
def test_hostile_counters(tmp_path, training) -> None:
    little().save(tmp_path / "m")
    rewrite(tmp_path / "m", lambda metadata: metadata.update(training=training))
    with pytest.raises(FormatError):
        load_model(tmp_path / "m")


def test_tensors_that_do_not_fit_the_architecture(tmp_path) -> None:
    def wider(tensors):
        tensors["d/kernel"] = np.zeros((3, 2), np.float32)

    def missing(tensors):
        del tensors["d/bias"]

    def other_type(tensors):
        tensors["d/kernel"] = np.zeros((2, 2), np.float64)

    def extra(tensors):
        tensors["e/kernel"] = np.zeros(1, np.float32)

    for change in (wider, missing, other_type, extra):
        little().save(tmp_path / "m")
        rewrite(tmp_path / "m", None, change)
        with pytest.raises(FormatError):
            load_model(tmp_path / "m")


def test_a_list_of_weights_that_lies(tmp_path) -> None:
    little().save_weights(tmp_path / "w")
    for lie in ('["d/kernel"]', '["d/kernel", "d/kernel"]', "3", "[1, 2]", "["):
        rewrite(tmp_path / "w", lambda metadata, lie=lie: metadata.update(weights=lie))
        other = Sequential([Input((2,)), layers.Dense(2, name="other")])
        with pytest.raises((FormatError, ShapeError)):
            other.load_weights(tmp_path / "w")
