"""The recipes as data, and the networks that they are for."""

import json
from dataclasses import replace

import numpy as np
import pytest
from small_images import PHOTOS, apply
from striate import Input, Model, Sequential, layers, recipes
from striate.augment import AugmentedArrays, Pipeline
from striate.cli.data import Arrays, split_by_class
from striate.cli.heads import compile_arguments, for_outputs
from striate.cli.networks import (
    NETWORKS,
    build_network,
    class_scores,
    find_network,
    first_layer,
    with_first_layer,
)
from striate.errors import ArgumentError, ShapeError
from striate.optimizers import Muon
from striate.schedules import CosineDecay, OneCycle, PiecewiseConstantDecay, PiecewiseLinear

ALL = list(recipes.RECIPES.values())


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.name)
def test_recipes_are_complete(recipe: recipes.Recipe) -> None:
    assert recipes.find(recipe.name.upper().replace("-", "_")) is recipe
    assert recipe.inputs in recipes.INPUTS
    optimizer = recipe.make_optimizer(None, recipe.batch_size, 10, recipe.epochs)
    rates = [float(recipe.rates(None, recipe.batch_size, 10, recipe.epochs)(step))
             for step in range(10 * recipe.epochs)]  # fmt: skip
    # The peak may lie between two of these few steps.
    assert max(rates) == pytest.approx(recipe.learning_rate, rel=1e-4)
    assert max(rates) <= recipe.learning_rate * (1 + 1e-9)
    assert min(rates) >= 0 and rates[-1] < recipe.learning_rate / 40
    assert optimizer.learning_rate == pytest.approx(rates[0])
    assert json.loads(json.dumps(recipe.settings((32, 32))))["name"] == recipe.name
    photographs = np.zeros((2, 40, 48, 3), np.uint8)
    made = Pipeline(recipe.transforms((32, 32)))(photographs)
    cuts = any("Crop" in repr(transform) for transform in recipe.transforms((32, 32)))
    assert made.shape == ((2, 32, 32, 3) if cuts else photographs.shape)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=lambda network: network.name)
def test_every_network_has_a_recipe(network: object) -> None:
    name, family = network.name, network.family  # type: ignore[attr-defined]
    assert find_network(name.upper().replace("-", "_")) is network
    assert recipes.default_recipe(family, "folder") in ALL


def test_default_recipes() -> None:
    assert recipes.default_recipe("cifar-resnet", "cifar10") is recipes.CIFAR_RESNET
    assert recipes.default_recipe("cifar-resnet", "mnist").name == "characters"
    assert recipes.default_recipe("resnet", "cifar100") is recipes.CIFAR_RESNET
    assert recipes.default_recipe("plain", "flowers") is recipes.IMAGENET_PLAIN
    assert recipes.find("best", "lenet5") is recipes.LENET5_BEST
    with pytest.raises(ArgumentError, match="no recipe 'best'; there are lenet5,"):
        recipes.find("best", "alexnet")


def test_rates_go_with_the_batch() -> None:
    recipe = recipes.CIFAR_RESNET
    assert recipe.highest_rate(32) == pytest.approx(recipe.learning_rate / 4)
    assert recipes.LENET5.highest_rate(32) == recipes.LENET5.learning_rate
    given = recipe.rates(0.2, 32, 10, 2)
    assert isinstance(given, OneCycle) and given.max_learning_rate == 0.2 and given.steps == 20


def test_schedules_of_recipes() -> None:
    cosine = recipes.IMAGENET_RESNET.rates(None, 64, 10, 90)
    assert isinstance(cosine, CosineDecay)
    assert [cosine(0), cosine(50)] == pytest.approx([0.0005, 0.05])
    assert cosine(899) < 1e-6
    short = recipes.IMAGENET_RESNET.rates(None, 64, 1, 1)  # warmed up before it begins
    assert short(0) == pytest.approx(0.05)
    steps = recipes.IMAGENET_PLAIN.rates(None, 128, 10, 100)
    assert isinstance(steps, PiecewiseConstantDecay)
    assert [steps(0), steps(401), steps(999)] == pytest.approx([0.01, 0.001, 1e-5])
    assert recipes.IMAGENET_PLAIN.rates(None, 128, 1, 1)(0) > 0  # three steps that are one
    paper = recipes.LENET5_1998
    assert paper.rates(None, 1, 100, 20)(0) == 0.0005
    assert paper.rates(0.01, 1, 100, 20)(1999) == 0.01


def test_triangles() -> None:
    sloped = {"start": 0.2, "peak": 0.25, "end": 0.1}
    recipe = replace(recipes.CIFAR_NET, learning_rate=2.0, schedule_options=sloped)
    rates = [recipe.rates(None, 1024, 10, 4)(step) for step in (0, 5, 10, 25, 40)]
    assert rates == pytest.approx([0.4, 1.2, 2.0, 1.1, 0.2])
    falling = replace(recipe, schedule_options={**sloped, "peak": 0.0})
    assert [falling.rates(None, 1024, 1, 1)(step) for step in (0, 1)] == pytest.approx([2.0, 0.2])
    averaged = replace(recipes.CIFAR_RESNET, ema_momentum=0.9, optimizer_options={"use_ema": True})
    momentum = averaged.make_optimizer(None, 128, 10, 4).ema_momentum
    assert isinstance(momentum, PiecewiseLinear)
    assert [momentum(step) for step in (0, 20, 40)] == pytest.approx([0, 0.45, 0.9])


def test_what_moves_cifarnet() -> None:
    """Muon has the convolutions; the rest moves at airbench94's rates, whatever Muon's rate."""
    recipe = recipes.CIFAR_NET
    optimizer = recipe.make_optimizer(None, recipe.batch_size, 10, recipe.epochs)
    assert isinstance(optimizer, Muon)
    multipliers = optimizer.get_config()["learning_rate_multipliers"]
    share = (1 - 0.85) / (1 - optimizer.momentum)
    assert multipliers["/beta$"] * recipe.learning_rate * share == pytest.approx(64 * 1.5)
    assert multipliers["^predictions/"] * recipe.learning_rate * share == pytest.approx(1.5)
    model = NETWORKS["cifarnet"].build()
    names = [weight.path for weight in model.weights]
    assert sum("predictions/" in name for name in names) == 1
    assert sum(name.endswith("/beta") for name in names) == 6


def test_weight_decay_leaves_biases_and_normalisations() -> None:
    model = Sequential(
        [Input((4, 4, 3)), layers.Conv2D(2, 3), layers.BatchNormalization(), layers.Flatten(),
         layers.Dense(3, "softmax")]
    )  # fmt: skip
    optimizer = recipes.CIFAR_RESNET.make_optimizer(None, 128, 10, 1)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
    rate = optimizer.learning_rate
    # Of black images, the kernel has no gradient, nor has a bias before a normalisation.
    model.train_on_batch(np.zeros((8, 4, 4, 3), np.float32), np.zeros(8))
    kernel, bias = model.layers[0].get_weights()
    np.testing.assert_allclose(kernel, 1 - rate * 5e-3, rtol=1e-6)
    assert (bias == 1).all()


def images(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (3, 12, 12, 3)).astype(np.uint8)


def test_a_first_layer_is_put_before_any_network() -> None:
    mean, deviation = np.array([0.5, 0.4, 0.3]), np.array([0.2, 0.25, 0.3])
    first = first_layer("statistics", mean, deviation)
    assert first is not None
    x = images(0)
    normal = ((x / 255 - mean) / deviation).astype(np.float32)
    for name in ("lenet5", "resnet20"):
        plain = build_network(NETWORKS[name], (12, 12, 3), 4, {})
        model = build_network(NETWORKS[name], (12, 12, 3), 4, {}, first)
        assert model.name == plain.name and type(model) is type(plain)
        model.set_weights(plain.get_weights())
        np.testing.assert_allclose(model.predict(x), plain.predict(normal), rtol=1e-4, atol=1e-6)
        assert model.layers[0 if name == "lenet5" else 1].name == "normalize"


def test_a_first_layer_before_several_branches() -> None:
    image = Input((4, 4, 3))
    a, b = layers.GlobalAveragePooling2D()(image), layers.GlobalMaxPooling2D()(image)
    model = Model(image, [layers.Dense(2)(layers.Add()([a, b])), b])
    first = first_layer("scaled", None, None)
    assert first is not None
    scaled = with_first_layer(model, first)
    scaled.set_weights(model.get_weights())
    x = images(1)[:, :4, :4]
    for one, other in zip(scaled.predict(x), model.predict(x / 255), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_the_models_seed_is_as_without_a_first_layer() -> None:
    from striate import set_random_seed

    hashes = []
    for first in (None, first_layer("imagenet", None, None)):
        set_random_seed(5)
        model = build_network(NETWORKS["lenet5"], (12, 12, 3), 2, {}, first)
        after = build_network(NETWORKS["lenet5"], (12, 12, 3), 2, {})
        hashes.append((model.weights_hash(), after.weights_hash()))
    assert hashes[0] == hashes[1]


def test_networks_refuse_what_they_cannot_do() -> None:
    with pytest.raises(ArgumentError, match="--pooling: mlp has no such choice"):
        build_network(NETWORKS["mlp"], (28, 28, 1), 10, {"pooling": "max"})
    with pytest.raises(ArgumentError, match="gray images of 28x28 and 10 classes, these are 32x32"):
        build_network(NETWORKS["lenet5-1998"], (32, 32, 3), 10, {})


def test_scores_of_classes() -> None:
    logits = Sequential([Input((3,)), layers.Dense(3)])
    x = np.array([[1.0, 3.0, 2.0]], np.float32)
    scores = class_scores(logits, x)
    np.testing.assert_allclose(scores, np.exp(x) / np.exp(x).sum(), rtol=1e-6)
    softmax = Sequential([Input((3,)), layers.Dense(3, "softmax")])
    assert class_scores(softmax, [x, x]) is x
    with pytest.raises(ShapeError, match="no score"):
        class_scores(softmax, np.zeros((2, 1), np.float32))


def test_statistics_are_the_channels() -> None:
    mean, deviation = Arrays(PHOTOS, np.zeros(len(PHOTOS))).statistics()
    np.testing.assert_allclose(mean, (PHOTOS / 255).mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(deviation, (PHOTOS / 255).std(axis=(0, 1, 2)), rtol=1e-9)
    flat = Arrays(np.full((2, 3, 3), 7, np.uint8), np.zeros(2)).statistics()
    assert flat[0] == pytest.approx(7 / 255) and flat[1] > 0


def test_split_by_class() -> None:
    labels = np.repeat([0, 1, 2], [10, 20, 3])
    kept = split_by_class(labels, 0.2, "x")
    assert np.bincount(labels[kept]).tolist() == [2, 4, 1]
    np.testing.assert_array_equal(kept, split_by_class(labels, 0.2, "x"))
    with pytest.raises(ArgumentError, match="a class has 1 images, too few"):
        split_by_class(np.array([0, 0, 1]), 0.5, "x")


def test_heads_learn_from_the_same_labels() -> None:
    image = Input((4, 4, 1))
    x = layers.Flatten()(image)
    model = Model(image, [layers.Dense(3, "softmax", name=name)(x) for name in ("out", "aux")])
    loss = recipes.CIFAR_RESNET.loss
    model.compile("sgd", **compile_arguments(model, loss))
    assert model.compiled.loss_weights == [1.0, 0.3]
    y = np.array([0, 1, 2, 0])
    x0 = np.zeros((4, 4, 4, 1), np.uint8)
    data = for_outputs(model, AugmentedArrays(x0, y, batch_size=2))
    assert len(data) == 2 and data.identity()["samples"] == 4
    held_out = for_outputs(model, (x0, y))
    history = model.fit(data, validation_data=(held_out[0], held_out[1]), verbose=0).history
    assert {"loss", "out_loss", "aux_loss", "out_accuracy", "val_out_accuracy"} <= set(history)
    assert for_outputs(Model(image, model.outputs[0]), (x0, y))[1] is y


def test_small_photographs_are_shifted_by_an_eighth() -> None:
    crop = recipes.CIFAR_RESNET.transforms((32, 32))[1]
    assert repr(crop).startswith("RandomCrop(size=(32, 32), padding=(4, 4), fill_mode='reflect'")
    assert apply(crop, np.zeros((2, 32, 32, 3), np.uint8)).shape == (2, 32, 32, 3)
