"""The deep networks against their papers' tables. Nothing here takes memory for weights."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from striate import applications as apps
from striate.applications import alexnet, cifar_resnet, googlenet, resnet, vgg
from striate.applications.preprocess import preprocess_input
from striate.errors import ArgumentError, ShapeError
from striate.models import Model

Build = Callable[..., Model]


def costs(model: Model) -> dict[str, int]:
    """The sums of all layers' costs, from the description alone."""
    total: dict[str, int] = {}
    for step in model.steps:
        for name, count in step.cost(model.graph).items():
            total[name] = total.get(name, 0) + count
    return total


# Trainable parameters, and G multiply-accumulates of convolutions and dense layers.
TABLE: list[tuple[Build, dict[str, Any], int, float]] = [
    (apps.AlexNet, {"variant": "2012"}, 60_965_224, 0.7244),
    (apps.AlexNet, {"variant": "2012", "input_shape": (227, 227, 3)}, 60_965_224, 0.7244),
    (apps.AlexNet, {"variant": "one-weird-trick"}, 61_100_840, 0.714),
    (apps.VGG16, {}, 138_357_544, 15.470),
    (apps.VGG16, {"variant": "torchvision"}, 138_357_544, 15.470),
    (apps.VGG16, {"batch_norm": True}, 138_365_992, 15.470),
    (apps.VGG19, {}, 143_667_240, 19.632),
    (apps.VGG19, {"variant": "torchvision", "batch_norm": True}, 143_678_248, 19.632),
    (apps.GoogLeNet, {"auxiliary": False}, 6_998_552, 1.583),
    (apps.GoogLeNet, {"variant": "torchvision", "auxiliary": False}, 6_624_904, 1.498),
    (apps.ResNet18, {}, 11_689_512, 1.814),
    (apps.ResNet18, {"variant": "v1"}, 11_689_512, 1.814),
    (apps.ResNet34, {}, 21_797_672, 3.664),
    (apps.ResNet50, {}, 25_557_032, 4.089),
    (apps.ResNet50, {"variant": "v1"}, 25_557_032, 3.858),
    (apps.ResNet50, {"variant": "keras"}, 25_583_592, 3.858),
    (apps.ResNet101, {}, 44_549_160, 7.801),
    (apps.ResNet101, {"variant": "v1"}, 44_549_160, 7.570),
    (apps.ResNet101, {"variant": "keras"}, 44_601_832, 7.570),
    (apps.ResNet152, {}, 60_192_808, 11.514),
    (apps.ResNet152, {"variant": "v1"}, 60_192_808, 11.282),
    (apps.ResNet152, {"variant": "keras"}, 60_268_520, 11.282),
    (apps.ResNet20, {}, 269_722, 0.04055),
    (apps.ResNet32, {}, 464_154, 0.06886),
    (apps.ResNet44, {}, 658_586, 0.09717),
    (apps.ResNet56, {}, 853_018, 0.1255),
    (apps.ResNet110, {}, 1_727_962, 0.2529),
    # airbench94's 1,970,488 and 118.1 M, with the shifts of its batch normalisation.
    (apps.CifarNet, {}, 1_970_488 + 2 * (64 + 256 + 256), 0.11815),
    (apps.CifarNet, {"widths": (64, 128, 128)}, 568_376 + 2 * (64 + 128 + 128), 0.0542),
]
HEADS: list[tuple[str, int]] = [("2014", 13_378_280), ("torchvision", 13_004_888)]
# With moving statistics, as Keras's count_params.
KERAS_TOTALS: list[tuple[Build, int]] = [
    (apps.ResNet50, 25_636_712),
    (apps.ResNet101, 44_707_176),
    (apps.ResNet152, 60_419_944),
]


@pytest.mark.parametrize(("build", "options", "parameters", "gmacs"), TABLE)
def test_the_papers_counts(
    build: Build, options: dict[str, Any], parameters: int, gmacs: float
) -> None:
    total = costs(build(**options))
    assert total["trainable"] == parameters
    assert total["macs"] / 1e9 == pytest.approx(gmacs, rel=2e-3)


@pytest.mark.parametrize(("variant", "parameters"), HEADS)
def test_googlenet_with_its_heads(variant: str, parameters: int) -> None:
    model = apps.GoogLeNet(variant=variant)
    assert costs(model)["trainable"] == parameters
    assert model.output_names == ["predictions", "aux1", "aux2"]
    assert model.output_shape == [(None, 1000)] * 3


def test_googlenet_without_its_heads_after_training() -> None:
    model = apps.GoogLeNet(variant="torchvision", classes=5, input_shape=(33, 40, 3))
    alone = Model(model.input, model.outputs[0])
    assert costs(alone) == costs(
        apps.GoogLeNet(variant="torchvision", classes=5, input_shape=(33, 40, 3), auxiliary=False)
    )
    x = np.random.default_rng(0).standard_normal((2, 33, 40, 3)).astype(np.float32)
    np.testing.assert_array_equal(alone.predict(x), model.predict(x)[0])


@pytest.mark.parametrize(("build", "parameters"), KERAS_TOTALS)
def test_kerass_totals(build: Build, parameters: int) -> None:
    assert costs(build(variant="keras"))["parameters"] == parameters


def shapes(model: Model, *names: str) -> list[tuple[int | None, ...]]:
    return [model.get_layer(name).output.shape[1:] for name in names]


def test_alexnet_is_the_papers_table() -> None:
    for side in (224, 227):
        model = apps.AlexNet(input_shape=(side, side, 3))
        assert shapes(model, "conv1", "pool1", "conv2", "pool2", "conv5", "pool5", "fc6") == [
            (55, 55, 96), (27, 27, 96), (27, 27, 256), (13, 13, 256), (13, 13, 256), (6, 6, 256),
            (4096,),
        ]  # fmt: skip
    by_layer = {step.name: step.cost(model.graph)["parameters"] for step in model.steps}
    assert [by_layer[f"conv{i}"] for i in range(1, 6)] == [
        34_944,
        307_456,
        885_120,
        663_936,
        442_624,
    ]
    assert [by_layer[f"fc{i}"] for i in (6, 7, 8)] == [37_752_832, 16_781_312, 4_097_000]


def test_googlenet_is_table_1() -> None:
    model = apps.GoogLeNet()
    sides = {"3": 28, "4": 14, "5": 7}
    maps = dict(zip(googlenet.TABLE_1, (256, 480, 512, 512, 512, 528, 832, 832, 1024), strict=True))
    for row, count in maps.items():
        side = sides[row[0]]
        assert shapes(model, f"inception_{row}") == [(side, side, count)]
    assert shapes(model, "pool1", "pool2", "aux1_pool") == [
        (56, 56, 64), (28, 28, 192), (4, 4, 512),
    ]  # fmt: skip
    assert model.get_layer("inception_3a_5x5").kernel_size == (5, 5)
    quirks = apps.GoogLeNet(variant="torchvision")
    assert quirks.get_layer("inception_3a_5x5").kernel_size == (3, 3)
    assert quirks.get_layer("pool4").pool_size == (2, 2)
    assert quirks.get_layer("conv1_bn").epsilon == 1e-3


def test_resnet_variants_stride_where_they_say() -> None:
    for variant, strides in (("v1", [2, 1]), ("keras", [2, 1]), ("v1.5", [1, 2])):
        model = apps.ResNet50(variant=variant)
        names = [f"conv3_block1_{part}_conv" for part in (1, 2)]
        assert [model.get_layer(name).strides[0] for name in names] == strides
        assert model.get_layer(names[0]).use_bias == (variant == "keras")
    assert model.get_layer("conv1_bn").epsilon == pytest.approx(1e-5)
    assert apps.ResNet50(variant="keras").get_layer("conv1_bn").epsilon == pytest.approx(1.001e-5)


@pytest.mark.parametrize("build", [apps.ResNet18, apps.ResNet34])
def test_keras_has_no_small_resnets(build: Build) -> None:
    with pytest.raises(ArgumentError, match="Keras has none"):
        build(variant="keras")


def test_shortcuts_without_weights_take_every_second_pixel() -> None:
    model = apps.ResNet20(classes=4, input_shape=(9, 8, 3))
    part = Model(model.input, model.get_layer("stage2_block1_0_columns_as_maps").output)
    before = Model(model.input, model.get_layer("stage1_block3_out").output)
    x = np.random.default_rng(0).standard_normal((2, 9, 8, 3)).astype(np.float32)
    maps, shortcut = before.predict(x), part.predict(x)
    assert shortcut.shape == (2, 5, 4, 32)
    np.testing.assert_array_equal(shortcut[..., 8:24], maps[:, ::2, ::2])
    assert not shortcut[..., :8].any() and not shortcut[..., 24:].any()


FEATURES: list[tuple[Build, tuple[int, ...]]] = [
    (apps.AlexNet, (6, 6, 256)),
    (apps.VGG16, (7, 7, 512)),
    (apps.VGG19, (7, 7, 512)),
    (apps.GoogLeNet, (7, 7, 1024)),
    (apps.ResNet18, (7, 7, 512)),
    (apps.ResNet50, (7, 7, 2048)),
    (apps.ResNet20, (8, 8, 64)),
]


@pytest.mark.parametrize(("build", "maps"), FEATURES)
def test_without_a_top(build: Build, maps: tuple[int, ...]) -> None:
    assert build(include_top=False).output_shape == (None, *maps)
    for pooling in ("avg", "max"):
        assert build(include_top=False, pooling=pooling).output_shape == (None, maps[-1])
    with pytest.raises(ArgumentError, match="pooling is one of None, 'avg', 'max', got 'mean'"):
        build(include_top=False, pooling="mean")


@pytest.mark.parametrize("build", [build for build, _ in FEATURES])
def test_classes_and_channels(build: Build) -> None:
    options = {"auxiliary": False} if build is apps.GoogLeNet else {}
    model = build(classes=7, input_shape=(96, 80, 1), **options)
    assert model.output_shape == (None, 7)
    assert model.input_shape == (None, 96, 80, 1)
    with pytest.raises(ArgumentError, match="classes must be at least 1"):
        build(classes=0)


SMALLEST: list[tuple[Build, dict[str, Any], int]] = [
    (apps.AlexNet, {"variant": "2012"}, 64),
    (apps.AlexNet, {"variant": "one-weird-trick"}, 63),
    (apps.VGG16, {}, 32),
    (apps.VGG19, {"variant": "torchvision", "batch_norm": True}, 32),
    (apps.GoogLeNet, {"variant": "2014"}, 79),
    (apps.GoogLeNet, {"variant": "2014", "auxiliary": False}, 31),
    (apps.GoogLeNet, {"variant": "torchvision"}, 15),
]


@pytest.mark.parametrize(("build", "options", "smallest"), SMALLEST)
def test_images_too_small(
    monkeypatch: pytest.MonkeyPatch, build: Build, options: dict[str, Any], smallest: int
) -> None:
    for side in (smallest, smallest + 1, smallest + 2, smallest + 3):
        assert build(input_shape=(side, side, 3), **options).input_shape == (None, side, side, 3)
    for shape in ((smallest - 1, 300, 3), (300, smallest - 1, 3)):
        with pytest.raises(ShapeError, match=f"the smallest .* are {smallest}x{smallest}"):
            build(input_shape=shape, **options)
    # And indeed no layer would take less.
    monkeypatch.setattr(apps.building, "image_shape", lambda owner, shape, smallest: shape)
    with pytest.raises(ShapeError):
        build(input_shape=(smallest - 1, smallest - 1, 3), **options)


@pytest.mark.parametrize("build", [apps.ResNet18, apps.ResNet50, apps.ResNet20])
def test_resnets_take_any_size(build: Build) -> None:
    assert build(input_shape=(1, 2, 3), classes=3).output_shape == (None, 3)


def test_bad_arguments() -> None:
    for build in (apps.AlexNet, apps.VGG16, apps.GoogLeNet, apps.ResNet50):
        with pytest.raises(ArgumentError, match="variant is one of"):
            build(variant="2013")
        with pytest.raises(ShapeError, match=r"\(height, width, channels\)"):
            build(input_shape=(224, 224))
    with pytest.raises(ArgumentError, match='transform_input is for variant="torchvision"'):
        apps.GoogLeNet(transform_input=True)


@pytest.mark.parametrize(
    ("table", "model", "some"),
    [
        (alexnet, lambda: apps.AlexNet(), {"conv2": "features.3", "fc8": "classifier.6"}),
        (
            vgg,
            lambda: apps.VGG16(),
            {"block1_conv2": "features.2", "block5_conv3": "features.28", "fc1": "classifier.0"},
        ),
        (
            vgg,
            lambda: apps.VGG16(batch_norm=True),
            {"block2_conv1": "features.7", "block2_bn1": "features.8", "fc2": "classifier.3"},
        ),
        (
            googlenet,
            lambda: apps.GoogLeNet(variant="torchvision"),
            {
                "conv3_bn": "conv3.bn",
                "inception_4e_5x5_reduce": "inception4e.branch3.0.conv",
                "aux2_conv": "aux2.conv.conv",
                "aux1": "aux1.fc2",
            },
        ),
        (
            resnet,
            lambda: apps.ResNet101(),
            {
                "conv1_bn": "bn1",
                "conv4_block23_3_conv": "layer3.22.conv3",
                "conv2_block1_0_bn": "layer1.0.downsample.1",
            },
        ),
        (cifar_resnet, lambda: apps.ResNet20(), {"stage3_block3_2_bn": "layer3.2.bn2"}),
    ],
)
def test_every_layer_with_weights_has_a_torch_name(
    table: Any, model: Callable[[], Model], some: dict[str, str]
) -> None:
    built = model()
    weighted = [step.name for step in built.steps if step.cost(built.graph)["parameters"]]
    names = table.torch_names(weighted)
    assert list(names) and set(names) == set(weighted)
    assert len(set(names.values())) == len(names)
    assert some.items() <= names.items()


# What Keras 3.15's imagenet_utils.preprocess_input gives for the pixel (10, 100, 250).
PIXEL = np.array([[[10, 100, 250]]], np.uint8)
PREPROCESSED = {
    "torch": [(10 / 255 - 0.485) / 0.229, (100 / 255 - 0.456) / 0.224, (250 / 255 - 0.406) / 0.225],
    "caffe": [250 - 103.939, 100 - 116.779, 10 - 123.68],
    "tf": [10 / 127.5 - 1, 100 / 127.5 - 1, 250 / 127.5 - 1],
}


@pytest.mark.parametrize("mode", PREPROCESSED)
def test_preprocess_input(mode: str) -> None:
    for x in (PIXEL, PIXEL[None], PIXEL.astype(np.float64)):
        kept = x.copy()
        y = preprocess_input(x, mode)
        assert y.dtype == np.float32 and y.shape == x.shape and y.flags.c_contiguous
        np.testing.assert_allclose(y.ravel(), PREPROCESSED[mode], rtol=1e-5)
        np.testing.assert_array_equal(x, kept)


def test_transform_input_undoes_torchs_normalisation() -> None:
    model = apps.GoogLeNet(
        variant="torchvision", auxiliary=False, input_shape=(15, 15, 3), transform_input=True
    )
    transform = Model(model.input, model.get_layer("transform").output)
    x = np.random.default_rng(0).integers(0, 256, (2, 15, 15, 3))
    np.testing.assert_allclose(
        transform.predict(preprocess_input(x, "torch")), preprocess_input(x, "tf"), atol=1e-6
    )


def test_preprocess_input_refuses() -> None:
    with pytest.raises(ArgumentError, match="mode is one of 'torch', 'caffe', 'tf', got 'bgr'"):
        preprocess_input(PIXEL, "bgr")
    with pytest.raises(ShapeError, match=r"RGB images .* got \(4, 4, 1\)"):
        preprocess_input(np.zeros((4, 4, 1)))
