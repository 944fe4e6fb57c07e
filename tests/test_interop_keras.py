"""load_keras on small files in Keras's layouts, made here with h5py; Keras itself is not needed."""

import json
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import striate
from numpy.typing import NDArray
from striate import layers
from striate.errors import ArgumentError, FormatError, MissingExtraError, ShapeError
from striate.interop import load_keras

h5py = pytest.importorskip("h5py", reason="h5py reads Keras's files: pip install h5py")

Array = NDArray[Any]


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def network(prefix: str = "") -> striate.Sequential:
    return striate.Sequential(
        [
            layers.Input((5, 4, 2)),
            layers.Conv2D(3, 3, name=f"{prefix}first"),
            layers.BatchNormalization(name=f"{prefix}norm"),
            layers.Conv2D(3, 1, name=f"{prefix}second"),
            layers.Flatten(name=f"{prefix}flatten"),
            layers.Dense(4, name=f"{prefix}output"),
        ],
        name="network",
    )


def weights() -> list[Array]:
    """In get_weights order, for Keras and for striate."""
    return [
        numbers(3, 3, 2, 3), numbers(3),
        numbers(3, seed=1), numbers(3, seed=2), numbers(3, seed=3), np.abs(numbers(3, seed=4)),
        numbers(1, 1, 3, 3), numbers(3, seed=5),
        numbers(18, 4), numbers(4),
    ]  # fmt: skip


GROUPS = {"conv2d": (0, 2), "batch_normalization": (2, 6), "conv2d_1": (6, 8), "dense": (8, 10)}
NAMES = dict(zip(GROUPS, ("first", "norm", "second", "output"), strict=True))


def write_keras3(file: Any, names: Mapping[str, str] | None = NAMES, top: str = "layers") -> None:
    """The layout of save_weights("x.weights.h5"); names=None as before Keras 3.3."""
    arrays = weights()
    for group, (start, end) in GROUPS.items():
        variables = file.create_group(f"{top}/{group}/vars")
        if names is not None:
            variables.attrs["name"] = names[group]
        for number, array in enumerate(arrays[start:end]):
            variables[str(number)] = array
    file.create_group(f"{top}/flatten/vars")
    file["optimizer/vars/0"] = np.array(3)
    file.create_group(f"{top}/dropout/seed_generator/vars")["0"] = np.zeros(2, np.uint32)


def write_legacy(file: Any, whole_model: bool) -> None:
    group = file.create_group("model_weights") if whole_model else file
    group.attrs["layer_names"] = [b"input_1", b"first", b"norm", b"second", b"flatten", b"output"]
    for name in ("input_1", "flatten"):
        group.create_group(name).attrs["weight_names"] = np.array([], "S1")
    arrays = weights()
    for name, (start, end) in zip(NAMES.values(), GROUPS.values(), strict=True):
        layer = group.create_group(name)
        named = [f"{name}/{part}:0" for part in "abcd"[: end - start]]
        layer.attrs["weight_names"] = [n.encode() for n in named]
        for key, array in zip(named, arrays[start:end], strict=True):
            layer[key] = array


def assert_loaded(model: Any) -> None:
    for got, want in zip(model.get_weights(), weights(), strict=True):
        np.testing.assert_array_equal(got, want)


def test_weights_h5_by_name(tmp_path: Path) -> None:
    path = tmp_path / "network.weights.h5"
    with h5py.File(path, "w") as file:
        write_keras3(file)
    for source in (path, str(path)):
        model = network()
        report = load_keras(model, source)
        assert report.complete and len(report.matched) == 10
        assert report.matched[0].ours == "first/kernel"
        assert report.matched[0].theirs == "layers/conv2d/vars/0"
        assert report.notes[0] == "network: 4 layers were paired by name, 0 by class, in order"
        assert "weights alone do not say them" in report.notes[1]
        assert_loaded(model)


@pytest.mark.parametrize("top", ["layers", "_layer_checkpoint_dependencies"])
@pytest.mark.parametrize("names", [None, {key: f"{key}_17" for key in GROUPS}])
def test_weights_h5_by_class(tmp_path: Path, top: str, names: dict[str, str] | None) -> None:
    path = tmp_path / "network.weights.h5"
    with h5py.File(path, "w") as file:
        write_keras3(file, names, top)
    model = network()
    report = load_keras(model, path)
    assert report.notes[0] == "network: 0 layers were paired by name, 4 by class, in order"
    assert_loaded(model)


def test_names_that_are_no_strings(tmp_path: Path) -> None:
    path = tmp_path / "network.weights.h5"
    with h5py.File(path, "w") as file:
        write_keras3(file, {group: group for group in GROUPS})
        for i, group in enumerate(GROUPS):
            no_name = [3, [b"a", b"b"], [], h5py.Empty("f4")][i]
            file[f"layers/{group}/vars"].attrs["name"] = no_name
    model = network()
    assert load_keras(model, path).complete
    assert_loaded(model)


def test_eleven_of_a_class(tmp_path: Path) -> None:
    path = tmp_path / "dense.weights.h5"
    with h5py.File(path, "w") as file:
        for i in range(12):
            group = file.create_group(f"layers/dense{f'_{i}' if i else ''}/vars")
            group["0"], group["1"] = numbers(3, 3, seed=i), numbers(3, seed=i)
    model = striate.Sequential([layers.Input((3,)), *(layers.Dense(3) for _ in range(12))])
    load_keras(model, path)
    for i, layer in enumerate(model.layers):
        np.testing.assert_array_equal(layer.get_weights()[0], numbers(3, 3, seed=i))


def test_automatic_names_say_nothing(tmp_path: Path) -> None:
    """Keras's second model of a process begins at dense_2, where striate's begins at dense."""
    path = tmp_path / "dense.weights.h5"
    with h5py.File(path, "w") as file:
        for i in range(3):
            group = file.create_group(f"layers/dense{f'_{i}' if i else ''}/vars")
            group.attrs["name"] = "head" if i == 1 else f"dense_{i + 1}"
            group["0"], group["1"] = numbers(3, 3, seed=i), numbers(3, seed=i)
    named = ("dense_2", "dense_1", "head")
    model = striate.Sequential([layers.Input((3,)), *(layers.Dense(3, name=n) for n in named)])
    load_keras(model, path)
    for layer, i in zip(model.layers, (0, 2, 1), strict=True):
        np.testing.assert_array_equal(layer.get_weights()[0], numbers(3, 3, seed=i))


@pytest.mark.parametrize("whole_model", [False, True])
@pytest.mark.parametrize("prefix", ["", "other_"])
def test_legacy_h5(tmp_path: Path, whole_model: bool, prefix: str) -> None:
    path = tmp_path / "network.h5"
    with h5py.File(path, "w") as file:
        write_legacy(file, whole_model)
    model = network(prefix)
    assert load_keras(model, path).complete
    assert_loaded(model)


def test_long_lists_of_names_are_cut_into_attributes(tmp_path: Path) -> None:
    path = tmp_path / "network.h5"
    with h5py.File(path, "w") as file:
        write_legacy(file, False)
        names = list(file.attrs["layer_names"])
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:3], names[3:]
    model = network()
    load_keras(model, path)
    assert_loaded(model)


def config(epsilon: float = 1e-3, momentum: float = 0.99) -> dict[str, Any]:
    norm = {"name": "norm", "epsilon": epsilon, "momentum": momentum}
    return {
        "class_name": "Sequential",
        "config": {
            "name": "network",
            "layers": [
                {"class_name": "Lambda", "config": {"function": "__import__('os').abort()"}},
                {"class_name": "BatchNormalization", "config": norm},
            ],
        },
    }


def write_archive(path: Path, settings: object, compression: int = zipfile.ZIP_STORED) -> None:
    inner = path.with_suffix(".inner")
    with h5py.File(inner, "w") as file:
        write_keras3(file)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(settings))
        archive.write(inner, "model.weights.h5")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_keras_archive(tmp_path: Path, compression: int) -> None:
    path = tmp_path / "network.keras"
    write_archive(path, config(), compression)
    model = network()
    report = load_keras(model, path)
    assert report.complete and len(report.notes) == 1  # epsilon and momentum agree
    assert_loaded(model)


def test_epsilon_and_momentum_are_compared(tmp_path: Path) -> None:
    path = tmp_path / "network.keras"
    write_archive(path, config(epsilon=1.001e-5, momentum=0.9))
    model = network()
    before = model.weights_hash()
    with pytest.raises(ShapeError, match="norm has epsilon 0.001, the file 1.001e-05"):
        load_keras(model, path)
    assert model.weights_hash() == before
    report = load_keras(model, path, strict=False)
    assert "norm has momentum 0.99, the file 0.9: it matters in training" in report.notes
    assert_loaded(model)
    legacy = tmp_path / "network.h5"
    with h5py.File(legacy, "w") as file:
        write_legacy(file, True)
        file.attrs["model_config"] = json.dumps(config(epsilon=1e-5))
    with pytest.raises(ShapeError, match="norm has epsilon 0.001, the file 1e-05"):
        load_keras(model, legacy)


def test_a_list_in_get_weights_order() -> None:
    model = network()
    report = load_keras(model, weights())
    assert [match.theirs for match in report.matched] == [f"weights[{i}]" for i in range(10)]
    assert_loaded(model)
    before = model.weights_hash()
    for wrong, message in (
        (weights()[:-1], "not in the list of weights: output/bias"),
        ([*weights(), numbers(2)], r"no place in network: weights\[10\]"),
        ([numbers(2), *weights()[1:]], r"first/kernel is \(3, 3, 2, 3\), weights\[0\] is float32"),
    ):
        with pytest.raises(ShapeError, match=message):
            load_keras(model, wrong)
    assert model.weights_hash() == before
    with pytest.raises(ArgumentError, match="got dict"):
        load_keras(model, {})  # type: ignore[arg-type]


def test_a_list_is_in_kerass_order_by_depth() -> None:
    """Keras lists the deeper of two branches first, whichever was called first."""
    x = layers.Input((4,), name="x")
    short = layers.Dense(3, name="short")(x)
    long = layers.Dense(3, name="long_2")(layers.Dense(3, name="long_1")(x))
    model = striate.Model(x, layers.Add(name="sum")([short, long]))
    arrays = {
        name: [numbers(rows, 3, seed=seed), numbers(3, seed=seed)]
        for seed, (name, rows) in enumerate([("long_1", 4), ("short", 4), ("long_2", 3)])
    }
    load_keras(model, [array for pair in arrays.values() for array in pair])
    for name, (kernel, bias) in arrays.items():
        np.testing.assert_array_equal(model.get_layer(name).get_weights()[0], kernel)
        np.testing.assert_array_equal(model.get_layer(name).get_weights()[1], bias)


def test_models_inside_models(tmp_path: Path) -> None:
    inner = striate.Sequential(
        [layers.Input((4,)), layers.Dense(3, name="a"), layers.Dense(2, name="b")], name="inner"
    )
    x = layers.Input((4,), name="x")
    y = layers.Dense(2, name="a")(inner(x))
    model = striate.Model(x, y, name="outer")
    path = tmp_path / "nested.weights.h5"
    arrays = {
        "layers/sequential/layers/dense": (numbers(4, 3), numbers(3)),
        "layers/sequential/layers/dense_1": (numbers(3, 2), numbers(2)),
        "layers/dense": (numbers(2, 2), numbers(2, seed=1)),
    }
    with h5py.File(path, "w") as file:
        for group, (kernel, bias) in arrays.items():
            variables = file.create_group(f"{group}/vars")
            variables["0"], variables["1"] = kernel, bias
    assert load_keras(model, path).complete
    for layer, (kernel, _) in zip(
        [*inner.layers, model.get_layer("a")], arrays.values(), strict=True
    ):
        np.testing.assert_array_equal(layer.get_weights()[0], kernel)
    in_order = [w for pair in arrays.values() for w in pair]
    assert load_keras(model, in_order).complete


# Files that do not fit


def test_what_fits_without_strict(tmp_path: Path) -> None:
    path = tmp_path / "network.weights.h5"
    with h5py.File(path, "w") as file:
        write_keras3(file)
        del file["layers/conv2d_1/vars/0"]
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = numbers(18, 1000)
        file["layers/dense_1/vars/0"] = numbers(2)
    model = network()
    before = model.weights_hash()
    with pytest.raises(ShapeError, match=r"output/kernel is \(18, 4\), .* is \(18, 1000\)"):
        load_keras(model, path)
    assert model.weights_hash() == before
    report = load_keras(model, path, strict=False)
    assert report.missing == ["second/bias"]
    assert report.unexpected == ["layers/dense_1/vars/0"]
    assert len(report.mismatched) == 2
    np.testing.assert_array_equal(model.get_weights()[0], weights()[0])


Spoil = Callable[[Any, Path], None]


def external_link(file: Any, folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["0"] = weights()[0]
    del file["layers/conv2d/vars/0"]
    file["layers/conv2d/vars/0"] = h5py.ExternalLink(str(folder / "other.h5"), "/0")


def external_group(file: Any, folder: Path) -> None:
    del file["layers"]
    file["layers"] = h5py.ExternalLink("/etc/passwd", "/")


def soft_link(file: Any, folder: Path) -> None:
    file.move("layers/conv2d/vars/0", "elsewhere")
    file["layers/conv2d/vars/0"] = h5py.SoftLink("/elsewhere")


def external_storage(file: Any, folder: Path) -> None:
    del file["layers/conv2d/vars/0"]
    (folder / "raw").write_bytes(weights()[0].tobytes())
    file.create_dataset(
        "layers/conv2d/vars/0", (3, 3, 2, 3), "f4", external=[(str(folder / "raw"), 0, 216)]
    )


def virtual(file: Any, folder: Path) -> None:
    del file["layers/conv2d/vars/0"]
    layout = h5py.VirtualLayout((3, 3, 2, 3), "f4")
    layout[...] = h5py.VirtualSource(str(folder / "other.h5"), "0", (3, 3, 2, 3))
    file.create_virtual_dataset("layers/conv2d/vars/0", layout)


def a_group_for_an_array(file: Any, folder: Path) -> None:
    del file["layers/conv2d/vars/0"]
    file.create_group("layers/conv2d/vars/0")


def an_array_for_a_group(file: Any, folder: Path) -> None:
    del file["layers/conv2d"]
    file["layers/conv2d"] = numbers(2)


def strings(file: Any, folder: Path) -> None:
    del file["layers/conv2d/vars/1"]
    file["layers/conv2d/vars/1"] = np.array([b"a", b"b", b"c"])


def objects(file: Any, folder: Path) -> None:
    del file["layers/conv2d/vars/1"]
    file.create_dataset("layers/conv2d/vars/1", (3,), h5py.string_dtype())


def large_pieces(file: Any, folder: Path) -> None:
    del file["layers/conv2d/vars/1"]
    file.create_dataset(
        "layers/conv2d/vars/1", (3,), "f4", maxshape=(None,), chunks=(2**27,), compression="gzip"
    )


def names_of_variables(file: Any, folder: Path) -> None:
    file["layers/conv2d/vars/kernel"] = numbers(2)


def no_layers(file: Any, folder: Path) -> None:
    del file["layers"]


def circle(file: Any, folder: Path) -> None:
    file["layers/dense/layers"] = file["layers"]


@pytest.mark.parametrize(
    "spoil",
    [
        external_link, external_group, soft_link, external_storage, virtual, a_group_for_an_array,
        an_array_for_a_group, strings, objects, large_pieces, names_of_variables, no_layers, circle,
    ],
)  # fmt: skip
@pytest.mark.parametrize("strict", [True, False])
def test_hostile_files_are_refused(tmp_path: Path, spoil: Spoil, strict: bool) -> None:
    path = tmp_path / "network.weights.h5"
    with h5py.File(path, "w") as file:
        write_keras3(file)
        spoil(file, tmp_path)
    model = network()
    before = model.weights_hash()
    with pytest.raises(FormatError, match="network.weights.h5"):
        load_keras(model, path, strict=strict)
    assert model.weights_hash() == before


def test_a_shape_without_data_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "network.weights.h5"
    with h5py.File(path, "w") as file:
        write_keras3(file)
        del file["layers/conv2d/vars/0"]
        file.create_dataset(
            "layers/conv2d/vars/0", (2**20, 2**20), "f4", chunks=(1, 2**10), compression="gzip"
        )
    with pytest.raises(ShapeError, match=r"is \(1048576, 1048576\)"):
        load_keras(network(), path)


@pytest.mark.parametrize("damage", ["truncated", "not HDF5", "empty"])
def test_damaged_files(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "network.weights.h5"
    with h5py.File(path, "w") as file:
        write_keras3(file)
    whole = path.read_bytes()
    damaged = {"truncated": whole[: len(whole) // 2], "not HDF5": b"weights", "empty": b""}
    path.write_bytes(damaged[damage])
    model = network()
    before = model.weights_hash()
    with pytest.raises(FormatError, match="network.weights.h5"):
        load_keras(model, path)
    assert model.weights_hash() == before


@pytest.mark.parametrize("size", [0, 183, 4096, 2**64 - 8, 2**64 - 40])
def test_a_damaged_table_of_names_does_not_hang(tmp_path: Path, size: int) -> None:
    path = tmp_path / "network.weights.h5"
    with h5py.File(path, "w") as file:
        write_keras3(file)
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL")
    data[heap + 24 : heap + 32] = size.to_bytes(8, "little")  # of the heap's first name
    path.write_bytes(data)
    with pytest.raises(FormatError, match="its table of names is damaged"):
        load_keras(network(), path)


def test_damaged_archives(tmp_path: Path) -> None:
    path = tmp_path / "network.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(FormatError, match="holds no model.weights.h5"):
        load_keras(network(), path)
    for text in ("{", "[" * 100_000):
        write_archive(path, {})
        with zipfile.ZipFile(path) as archive:
            inner = archive.read("model.weights.h5")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", text)
            archive.writestr("model.weights.h5", inner)
        with pytest.raises(FormatError, match="its configuration is not JSON"):
            load_keras(network(), path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(80 * 2**20))
    assert path.stat().st_size < 2**20
    with pytest.raises(FormatError, match="unpacks to more than .* bytes"):
        load_keras(network(), path)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_keras(network(), tmp_path / "absent.weights.h5")


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r'pip install "striate\[keras\]"'):
        load_keras(network(), tmp_path / "network.weights.h5")
