"""Where data sets are looked for, in which order, and what is said when they are not there.

The sets here are small ones of the test's own; nothing touches the network.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import pytest
from striate import datasets
from striate.datasets import _idx_set, fashion_mnist, kmnist, mnist
from striate.datasets._idx_set import IdxFile, IdxSet, load_idx_set
from striate.datasets.idx import write_idx
from striate.errors import DatasetNotFound, FormatError

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
         "t10k-labels-idx1-ubyte")  # fmt: skip
SHAPES = ((6, 4, 4), (6,), (2, 4, 4), (2,))
MIRRORS = ("http://first.invalid/", "http://second.invalid/", "http://third.invalid/")


def arrays() -> list[np.ndarray]:
    return [np.arange(np.prod(shape), dtype=np.uint8).reshape(shape) for shape in SHAPES]


def payload(k: int, tmp: Path) -> bytes:
    write_idx(tmp / "scratch", arrays()[k])
    return (tmp / "scratch").read_bytes()


@pytest.fixture
def tiny(tmp_path: Path) -> IdxSet:
    files = [
        IdxFile(name, shape, sha256=hashlib.sha256(payload(k, tmp_path)).hexdigest())
        for k, (name, shape) in enumerate(zip(NAMES, SHAPES, strict=True))
    ]
    return IdxSet("tiny", (files[0], files[1], files[2], files[3]), MIRRORS)


class FakeNetwork:
    """Stands in for pooch.HTTPDownloader; `pages` maps addresses to contents."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.options: dict[str, Any] = {}

    def __call__(self, *args: Any, **options: Any) -> FakeNetwork | None:
        """HTTPDownloader(**options) makes a downloader; downloader(url, stream, None) uses it."""
        if not args:
            self.options = options
            return self
        url, stream, _ = args
        self.asked.append(url)
        if url not in self.pages:
            raise ConnectionError("no network")
        stream.write(self.pages[url])
        return None


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeNetwork:
    fake = FakeNetwork()
    monkeypatch.setattr(pooch, "HTTPDownloader", fake)
    monkeypatch.setenv("STRIATE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("STRIATE_DATA", raising=False)
    return fake


def fill(folder: Path, packed: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(NAMES, arrays(), strict=True):
        write_idx(folder / (name + ".gz" * packed), array)
    return folder


def check(loaded: tuple[_idx_set.Split, _idx_set.Split]) -> None:
    (x_train, y_train), (x_test, y_test) = loaded
    for got, expected in zip((x_train, y_train, x_test, y_test), arrays(), strict=True):
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == np.uint8 and got.flags.writeable


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("sub", ["", "tiny"])
def test_path(tiny: IdxSet, tmp_path: Path, network: FakeNetwork, sub: str, packed: bool) -> None:
    fill(tmp_path / "here" / sub, packed)
    check(load_idx_set(tiny, tmp_path / "here"))
    check(load_idx_set(tiny, str(tmp_path / "here")))
    assert network.asked == []


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("sub", ["", "tiny"])
def test_striate_data(
    tiny: IdxSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sub: str, packed: bool
) -> None:
    fill(tmp_path / "here" / sub, packed)
    monkeypatch.setenv("STRIATE_DATA", str(tmp_path / "here"))
    check(load_idx_set(tiny, None))


def test_order(tiny: IdxSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """path before STRIATE_DATA before the cache: the earlier one's damage is what is met."""
    places = [tmp_path / "path", tmp_path / "data", tmp_path / "home" / "tiny"]
    for place in places:
        (fill(place) / NAMES[1]).write_bytes(b"damaged")
    monkeypatch.setenv("STRIATE_DATA", str(places[1]))
    with pytest.raises(FormatError, match=re.escape(str(places[0]))):
        load_idx_set(tiny, places[0])
    with pytest.raises(FormatError, match=re.escape(str(places[1]))):
        load_idx_set(tiny, None)
    monkeypatch.setenv("STRIATE_DATA", str(tmp_path / "empty"))
    with pytest.raises(FormatError, match=re.escape(str(places[2]))):
        load_idx_set(tiny, None)


def test_path_is_the_only_place_looked_at(
    tiny: IdxSet, tmp_path: Path, network: FakeNetwork
) -> None:
    fill(tmp_path / "home" / "tiny")
    with pytest.raises(DatasetNotFound, match="no such folder"):
        load_idx_set(tiny, tmp_path / "elsewhere")
    assert network.asked == []


def test_download(tiny: IdxSet, tmp_path: Path, network: FakeNetwork) -> None:
    for k, name in enumerate(NAMES):
        network.pages[MIRRORS[0] + name + ".gz"] = gzip.compress(payload(k, tmp_path), 1)
    check(load_idx_set(tiny, None))
    assert network.options["progressbar"] is False  # pytest's stderr is not a terminal
    asked = list(network.asked)
    check(load_idx_set(tiny, None))
    assert network.asked == asked, "the second time, the cache serves"
    cache = sorted(path.name for path in (tmp_path / "home" / "tiny").iterdir())
    assert cache == sorted(name + ".gz" for name in NAMES)


def test_next_mirror_after_failure_and_after_wrong_content(
    tiny: IdxSet, tmp_path: Path, network: FakeNetwork
) -> None:
    for k, name in enumerate(NAMES):
        network.pages[MIRRORS[1] + name + ".gz"] = b"<html>Please log in</html>"
        network.pages[MIRRORS[2] + name + ".gz"] = gzip.compress(payload(k, tmp_path))
    check(load_idx_set(tiny, None))
    assert sum(url.startswith(MIRRORS[0]) for url in network.asked) == 1, "asked once, not 4 times"
    assert sum(url.startswith(MIRRORS[2]) for url in network.asked) == 4


def test_interrupted_download_goes_on(tiny: IdxSet, tmp_path: Path, network: FakeNetwork) -> None:
    for k, name in enumerate(NAMES[:2]):
        network.pages[MIRRORS[0] + name + ".gz"] = gzip.compress(payload(k, tmp_path))
    with pytest.raises(DatasetNotFound):
        load_idx_set(tiny, None)
    for k in (2, 3):
        network.pages[MIRRORS[0] + NAMES[k] + ".gz"] = gzip.compress(payload(k, tmp_path))
    network.asked.clear()
    check(load_idx_set(tiny, None))
    assert network.asked == [MIRRORS[0] + name + ".gz" for name in NAMES[2:]]


def test_no_network(
    tiny: IdxSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: FakeNetwork
) -> None:
    half = fill(tmp_path / "half")
    (half / NAMES[3]).unlink()
    monkeypatch.setenv("STRIATE_DATA", str(half))
    with pytest.raises(DatasetNotFound) as caught:
        load_idx_set(tiny, None)
    message = str(caught.value)
    for part in (*NAMES, *MIRRORS, "no network", f"{half}: lacks {NAMES[3]}", "STRIATE_DATA",
                 "--data", str(tmp_path / "home" / "tiny")):  # fmt: skip
        assert part in message
    assert isinstance(caught.value, FileNotFoundError)
    assert len(network.asked) == len(MIRRORS)
    assert list((tmp_path / "home" / "tiny").iterdir()) == []


@pytest.mark.parametrize("packed", [False, True])
def test_wrong_checksum(tiny: IdxSet, tmp_path: Path, packed: bool) -> None:
    folder = fill(tmp_path / "here", packed)
    other = arrays()[2]
    other[1, 2, 3] ^= 1
    write_idx(folder / (NAMES[2] + ".gz" * packed), other)
    write_idx(tmp_path / "plain", other)
    got = hashlib.sha256((tmp_path / "plain").read_bytes()).hexdigest()
    with pytest.raises(FormatError) as caught:
        load_idx_set(tiny, folder)
    for part in (str(folder / NAMES[2]), str(tiny.files[2].sha256), got):
        assert part in str(caught.value)


def test_wrong_checksum_from_every_mirror(
    tiny: IdxSet, tmp_path: Path, network: FakeNetwork
) -> None:
    write_idx(tmp_path / "other.gz", np.zeros(SHAPES[0], np.uint8))
    for mirror in MIRRORS:
        network.pages[mirror + NAMES[0] + ".gz"] = (tmp_path / "other.gz").read_bytes()
    with pytest.raises(DatasetNotFound, match="wrong uncompressed SHA-256"):
        load_idx_set(tiny, None)
    assert list((tmp_path / "home" / "tiny").iterdir()) == []


def test_wrong_shape(tiny: IdxSet, tmp_path: Path) -> None:
    folder = fill(tmp_path / "here")
    write_idx(folder / NAMES[1], np.zeros(5, np.uint8))
    with pytest.raises(FormatError, match=r"expected uint8 of shape \(6,\), got uint8 of \(5,\)"):
        load_idx_set(tiny, folder)


def test_checksum_of_the_gz(tiny: IdxSet, tmp_path: Path) -> None:
    """Of a set whose .gz files alone have a published checksum, those are preferred."""
    folder = fill(tmp_path / "here", packed=True)
    files = [
        IdxFile(f.name, f.shape,
                sha256_gz=hashlib.sha256((folder / f"{f.name}.gz").read_bytes()).hexdigest())
        for f in tiny.files
    ]  # fmt: skip
    published = dataclasses.replace(tiny, files=tuple(files))
    (folder / NAMES[0]).write_bytes(b"not looked at")
    check(load_idx_set(published, folder))
    content = gzip.decompress((folder / f"{NAMES[1]}.gz").read_bytes())
    (folder / f"{NAMES[1]}.gz").write_bytes(gzip.compress(content, 1, mtime=7))
    with pytest.raises(FormatError, match="wrong SHA-256"):
        load_idx_set(published, folder)


def test_unwritable_cache(
    tiny: IdxSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: FakeNetwork
) -> None:
    (tmp_path / "file").write_text("in the way")  # permissions would not stop root
    monkeypatch.setenv("STRIATE_HOME", str(tmp_path / "file"))
    with pytest.raises(DatasetNotFound, match="STRIATE_HOME") as caught:
        load_idx_set(tiny, None)
    assert f"{tmp_path / 'file' / 'tiny'} cannot be written" in str(caught.value)
    assert network.asked == [], "said before anything is downloaded"


def test_keras_archive(tiny: IdxSet, tmp_path: Path, network: FakeNetwork) -> None:
    keys = ("x_train", "y_train", "x_test", "y_test")
    path = tmp_path / "tiny.npz"
    np.savez(path, **dict(zip(keys, arrays(), strict=True)))
    check(load_idx_set(tiny, path))
    np.savez(path, **dict(zip(keys, [a + 1 for a in arrays()], strict=True)))
    with pytest.raises(FormatError, match="x_train SHA-256"):
        load_idx_set(tiny, path)
    np.savez(path, x_train=np.array([{"a": "pickle"}], dtype=object))
    with pytest.raises(FormatError, match="not an archive of tiny"):
        load_idx_set(tiny, path)
    with pytest.raises(DatasetNotFound, match="no file"):
        load_idx_set(tiny, tmp_path / "none.npz")
    fill(tmp_path / "home" / "tiny")
    check(load_idx_set(tiny, "keras-would-call-its-cache-this.npz"))


@pytest.mark.parametrize("module", [mnist, fashion_mnist, kmnist])
def test_published_sets(module: Any, network: FakeNetwork) -> None:
    wanted = module._SET
    assert [file.name for file in wanted.files] == list(NAMES)
    assert len(wanted.mirrors) >= 3
    assert all(mirror.endswith("/") and "lecun.com" not in mirror for mirror in wanted.mirrors)
    sums = [file.sha256 or file.sha256_gz for file in wanted.files]
    assert all(re.fullmatch("[0-9a-f]{64}", text) for text in sums) and len(set(sums)) == 4
    with pytest.raises(DatasetNotFound, match=wanted.name):
        module.load_data()
    assert len(network.asked) == len(wanted.mirrors)


def test_submodules_are_lazy_and_listed() -> None:
    assert datasets.mnist is mnist
    assert {"mnist", "fashion_mnist", "kmnist", "digits", "idx"} <= set(dir(datasets))
    with pytest.raises(AttributeError):
        _ = datasets.imagenet  # type: ignore[attr-defined]


STRIATE_DATA = os.environ.get("STRIATE_DATA")  # before the fixture hides it


@pytest.mark.skipif(not STRIATE_DATA, reason="MNIST itself: set STRIATE_DATA to its folder")
def test_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIATE_DATA", str(STRIATE_DATA))
    try:
        (x_train, y_train), (x_test, y_test) = mnist.load_data()
    except DatasetNotFound:
        pytest.skip("STRIATE_DATA holds no MNIST")
    assert x_train.shape == (60000, 28, 28) and x_test.shape == (10000, 28, 28)
    assert y_train[:5].tolist() == [5, 0, 4, 1, 9] and y_test[:5].tolist() == [7, 2, 1, 0, 4]
