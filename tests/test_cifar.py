"""CIFAR-10 and CIFAR-100 from archives, from unpacked files and from folders of images.

The sets here are small ones of the test's own; nothing touches the network.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import pytest
from striate import datasets
from striate.datasets import _cifar_set, cifar10, cifar100
from striate.datasets._cifar_set import CifarFile, CifarSet, load_cifar_set
from striate.errors import ArgumentError, DatasetNotFound, FormatError

RNG = np.random.default_rng(4)
TRAIN, TEST = ("one.bin", "two.bin"), ("test.bin",)
# By file: label bytes [N, 2] and images [N, 32, 32, 3].
FILES = {
    name: (RNG.integers(0, 3, (count, 2)).astype(np.uint8),
           RNG.integers(0, 256, (count, 32, 32, 3)).astype(np.uint8))
    for name, count in zip(TRAIN + TEST, (4, 3, 2), strict=True)
}  # fmt: skip
CLASSES = ("ant", "bat", "cow")


def content(name: str) -> bytes:
    """A file of the binary version: two label bytes, then red, green and blue planes."""
    labels, images = FILES[name]
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.concatenate([labels, planes], axis=1).tobytes()


def archive(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


MEMBERS = {f"tiny-bin/{name}": content(name) for name in FILES} | {"tiny-bin/readme.html": b"hello"}
ARCHIVE = archive(MEMBERS)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def described(names: tuple[str, ...]) -> tuple[CifarFile, ...]:
    return tuple(CifarFile(n, len(FILES[n][0]), sha256(content(n))) for n in names)


TINY = CifarSet(
    name="tiny",
    archive="tiny.tar.gz",
    sha256=sha256(ARCHIVE),
    folder="tiny-bin",
    train=described(TRAIN),
    test=described(TEST),
    label_bytes=2,
    label=1,
    classes=CLASSES,
    mirrors=("http://first.invalid/", "http://second.invalid/"),
)


@pytest.fixture(autouse=True)
def pages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, bytes]:
    """What is on the network, by address."""
    found: dict[str, bytes] = {}

    class Downloader:
        def __init__(self, **options: Any) -> None:
            pass

        def __call__(self, url: str, stream: Any, _: Any) -> None:
            if url not in found:
                raise ConnectionError("no network")
            stream.write(found[url])

    monkeypatch.setattr(pooch, "HTTPDownloader", Downloader)
    monkeypatch.setenv("STRIATE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("STRIATE_DATA", raising=False)
    return found


def check(loaded: Any, label: int = 1) -> None:
    for (x, y), names in zip(loaded, (TRAIN, TEST), strict=True):
        np.testing.assert_array_equal(x, np.concatenate([FILES[n][1] for n in names]))
        np.testing.assert_array_equal(y, np.concatenate([FILES[n][0][:, label] for n in names]))
        assert x.dtype == y.dtype == np.uint8 and x.flags.c_contiguous and x.flags.writeable


@pytest.mark.parametrize("sub", ["", "tiny"])
@pytest.mark.parametrize("form", ["archive", "unpacked", "inside"])
def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sub: str, form: str) -> None:
    place = tmp_path / "here" / sub
    if form == "archive":
        place.mkdir(parents=True)
        (place / "tiny.tar.gz").write_bytes(ARCHIVE)
    else:
        inner = place / "tiny-bin" if form == "unpacked" else place
        inner.mkdir(parents=True)
        for name in FILES:
            (inner / name).write_bytes(content(name))
    check(load_cifar_set(TINY, tmp_path / "here"))
    check(load_cifar_set(dataclasses.replace(TINY, label=0), str(tmp_path / "here")), label=0)
    monkeypatch.setenv("STRIATE_DATA", str(tmp_path / "here"))
    check(load_cifar_set(TINY, None))


def test_download_and_cache(tmp_path: Path, pages: dict[str, bytes]) -> None:
    pages["http://first.invalid/tiny.tar.gz"] = ARCHIVE[:-50]
    pages["http://second.invalid/tiny.tar.gz"] = ARCHIVE
    check(load_cifar_set(TINY, None))
    assert os.listdir(tmp_path / "home" / "tiny") == ["tiny.tar.gz"]
    pages.clear()
    check(load_cifar_set(TINY, None))


def test_not_found(tmp_path: Path, pages: dict[str, bytes]) -> None:
    pages["http://second.invalid/tiny.tar.gz"] = b"<html>"
    with pytest.raises(DatasetNotFound) as caught:
        load_cifar_set(TINY, None)
    message = str(caught.value)
    assert "first.invalid/tiny.tar.gz: no network" in message and "wrong SHA-256" in message
    assert "STRIATE_DATA=DIR" in message and "train/CLASS/FILE" in message
    assert os.listdir(tmp_path / "home" / "tiny") == []
    with pytest.raises(DatasetNotFound, match="no such folder"):
        load_cifar_set(TINY, tmp_path / "missing")


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STRIATE_HOME", str(tmp_path / "file"))
    with pytest.raises(DatasetNotFound, match="set STRIATE_HOME"):
        load_cifar_set(TINY, None)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny.tar.gz").write_bytes(ARCHIVE + b"\0")
    with pytest.raises(FormatError, match=r"tiny.tar.gz: wrong SHA-256.*remove it"):
        load_cifar_set(TINY, tmp_path)
    (tmp_path / "tiny.tar.gz").unlink()
    for name in FILES:
        (tmp_path / name).write_bytes(content(name))
    (tmp_path / "two.bin").write_bytes(bytes(len(content("two.bin"))))
    with pytest.raises(FormatError, match=r"two.bin: wrong SHA-256"):
        load_cifar_set(TINY, tmp_path)
    (tmp_path / "two.bin").write_bytes(content("two.bin")[:-1])
    with pytest.raises(FormatError, match="two.bin: expected 9222 bytes, got 9221"):
        load_cifar_set(TINY, tmp_path)


def test_archives_with_other_members(tmp_path: Path) -> None:
    """Even with the right checksum, only members of the right name, kind and size are read."""

    def load(data: bytes) -> None:
        (tmp_path / "tiny.tar.gz").write_bytes(data)
        load_cifar_set(dataclasses.replace(TINY, sha256=sha256(data)), tmp_path)

    members = dict(MEMBERS)
    members["tiny-bin/one.bin"] += b"\0"
    with pytest.raises(FormatError, match="lacks tiny-bin/one.bin"):
        load(archive(members))
    members = {name.replace("tiny-bin", "../tiny-bin"): data for name, data in MEMBERS.items()}
    with pytest.raises(FormatError, match="lacks"):
        load(archive(members))
    with pytest.raises(FormatError, match="damaged"):
        load(ARCHIVE[: len(ARCHIVE) // 2])
    with pytest.raises(FormatError, match="damaged"):
        load(b"not an archive")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        link = tarfile.TarInfo("tiny-bin/one.bin")
        link.type, link.linkname, link.size = tarfile.SYMTYPE, "/etc/passwd", 0
        tar.addfile(link)
    with pytest.raises(FormatError, match="lacks"):
        load(stream.getvalue())
    assert sorted(os.listdir(tmp_path)) == ["tiny.tar.gz"]


def test_a_label_beyond_the_classes(tmp_path: Path) -> None:
    (tmp_path / "tiny.tar.gz").write_bytes(ARCHIVE)
    with pytest.raises(FormatError, match="label 2 in record .*: labels are below 2"):
        load_cifar_set(dataclasses.replace(TINY, classes=("ant", "bat")), tmp_path)


def write_images(root: Path, suffix: str = ".png", side: int = 32) -> None:
    """The tiny set as root/train/CLASS/FILE and root/test/CLASS/FILE."""
    image = pytest.importorskip("PIL.Image")
    for split, names in (("train", TRAIN), ("test", TEST)):
        for name in CLASSES:
            (root / split / name).mkdir(parents=True, exist_ok=True)
            black = np.zeros((side, side, 3), np.uint8)  # so that no class is empty
            image.fromarray(black).save(root / split / name / f"0{suffix}")
        for file in names:
            for k, (labels, pixels) in enumerate(zip(*FILES[file], strict=True)):
                path = root / split / CLASSES[labels[1]] / f"{file}{k}{suffix}"
                image.fromarray(pixels[:side, :side]).save(path)


def test_a_folder_of_images(tmp_path: Path) -> None:
    write_images(tmp_path / "data" / "tiny")
    (tmp_path / "data" / "tiny" / "train" / "zebra").mkdir()  # no class of the set
    (x_train, y_train), (x_test, y_test) = load_cifar_set(TINY, tmp_path / "data")
    assert len(x_train) == 7 + 3 and len(x_test) == 2 + 3 and y_train.dtype == np.uint8
    assert (np.diff(y_train) >= 0).all() and set(y_test) == {0, 1, 2}
    for label in range(3):
        ours = {image.tobytes() for image in x_train[y_train == label] if image.any()}
        labels = np.concatenate([FILES[name][0][:, 1] for name in TRAIN])
        images = np.concatenate([FILES[name][1] for name in TRAIN])
        assert ours == {image.tobytes() for image in images[labels == label]}


def test_folders_of_other_images(tmp_path: Path) -> None:
    write_images(tmp_path / "small", side=16)
    with pytest.raises(FormatError, match="32 x 32 pixels, these are 16 x 16"):
        load_cifar_set(TINY, tmp_path / "small")
    write_images(tmp_path / "other")
    shutil.rmtree(tmp_path / "other" / "test" / "bat")
    with pytest.raises(DatasetNotFound, match="nor test/CLASS with the 3 classes"):
        load_cifar_set(TINY, tmp_path / "other")


@pytest.mark.parametrize(
    ("wanted", "samples", "classes"),
    [(cifar10._SET, (50000, 10000), 10), (cifar100._FINE, (50000, 10000), 100),
     (cifar100._SETS["coarse"], (50000, 10000), 20)],
)  # fmt: skip
def test_the_sets_described(wanted: CifarSet, samples: tuple[int, int], classes: int) -> None:
    assert sum(file.records for file in wanted.train) == samples[0]
    assert sum(file.records for file in wanted.test) == samples[1]
    sums = [wanted.sha256, *(file.sha256 for file in (*wanted.train, *wanted.test))]
    assert len(set(sums)) == len(sums)
    assert all(re.fullmatch("[0-9a-f]{64}", text) for text in sums)
    assert len(wanted.classes) == classes and list(wanted.classes) == sorted(wanted.classes)
    assert len(wanted.mirrors) >= 3 and all(m.startswith("https://") for m in wanted.mirrors)


def test_load_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert datasets.cifar10 is cifar10 and datasets.cifar100 is cifar100
    asked = []
    monkeypatch.setattr(cifar10, "load_cifar_set", lambda *a: asked.append(a))
    monkeypatch.setattr(cifar100, "load_cifar_set", lambda *a: asked.append(a))
    cifar10.load_data()
    cifar100.load_data("coarse", path=tmp_path)
    assert asked[0] == (cifar10._SET, None)
    assert asked[1][0].label == 0 and asked[1][0].classes == cifar100.COARSE_CLASSES
    with pytest.raises(ArgumentError, match="label_mode"):
        cifar100.load_data("medium")
    with pytest.raises(DatasetNotFound):
        _cifar_set.load_cifar_set(cifar10._SET, tmp_path)


STRIATE_DATA = os.environ.get("STRIATE_DATA")  # before the fixture hides it


@pytest.mark.skipif(not STRIATE_DATA, reason="CIFAR-10 itself: set STRIATE_DATA to its folder")
def test_cifar10() -> None:
    try:
        (x_train, y_train), (x_test, y_test) = cifar10.load_data(STRIATE_DATA)
    except DatasetNotFound:
        pytest.skip("STRIATE_DATA holds no CIFAR-10")
    assert x_train.shape == (50000, 32, 32, 3) and x_test.shape == (10000, 32, 32, 3)
    assert np.bincount(y_train).tolist() == [5000] * 10
    assert np.bincount(y_test).tolist() == [1000] * 10
    np.testing.assert_allclose(x_train.mean(axis=(0, 1, 2)), [125.3, 123.0, 113.9], atol=0.1)
