"""Data, losses and metrics for keras_idioms.py's networks."""

from typing import Any

import numpy as np

RNG = np.random.default_rng(7)
N = 24
IMAGES = RNG.normal(size=(N, 8, 8, 3)).astype(np.float32)
OTHERS = RNG.normal(size=(N, 8, 8, 3)).astype(np.float32)
NUMBERS = RNG.normal(size=(N, 5)).astype(np.float32)
SIX = RNG.normal(size=(N, 6)).astype(np.float32)
LABELS = IMAGES.mean(axis=(1, 2)).argmax(axis=1)
SAME = RNG.integers(0, 2, N).astype(np.float32)[:, None]

CLASSES = "sparse_categorical_crossentropy"

# By idiom: x, y, and what compile takes besides the optimizer.
DATA: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "residual_block": (IMAGES, LABELS, {"loss": CLASSES, "metrics": ["accuracy"]}),
    "inception_block": (
        IMAGES,
        [LABELS, LABELS],
        {
            "loss": [CLASSES, CLASSES],
            "loss_weights": [1.0, 0.3],
            "metrics": [["accuracy"], ["accuracy"]],
        },
    ),
    "two_inputs": ([IMAGES, NUMBERS], LABELS, {"loss": CLASSES, "metrics": ["accuracy"]}),
    "siamese": ([IMAGES, OTHERS], SAME, {"loss": "binary_crossentropy", "metrics": ["accuracy"]}),
    "autoencoder": (IMAGES, IMAGES.reshape(N, -1), {"loss": "mse", "metrics": ["mae"]}),
    "transfer": (IMAGES, LABELS, {"loss": CLASSES, "metrics": ["accuracy"]}),
    "arithmetic": (SIX, LABELS, {"loss": CLASSES}),
}
