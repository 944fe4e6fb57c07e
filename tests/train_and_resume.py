"""Trains a small network for four epochs with a BackupAndRestore. Not a test itself.

Usage: train_and_resume.py sequential|functional FOLDER THREADS [EPOCHS]. After EPOCHS epochs the
process ends as kill -9 would end it. Else one JSON object on stdout: {"hash": the weights',
"history": .., "iterations": ..}.

Dropout, augmentation, batch normalisation, averaged weights, gathered gradients and a schedule are
all on, and the epoch's batches do not come out even with the gathered gradients.
"""

import json
import os
import sys
from typing import Any

import numpy as np
import striate
from striate import Input, layers
from striate.augment import AugmentedArrays, RandomCrop, RandomFlip
from striate.callbacks import BackupAndRestore, EarlyStopping, LambdaCallback, SwapEMAWeights
from striate.losses import SparseCategoricalCrossentropy
from striate.optimizers import SGD, Adam
from striate.schedules import OneCycle, PiecewiseLinear

EPOCHS = 4
SHAPE = (8, 8, 3)


def sequential() -> striate.Model:
    return striate.Sequential(
        [
            Input(SHAPE),
            layers.Rescaling(1 / 255),
            layers.Conv2D(6, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.SpatialDropout2D(0.2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(3, "softmax"),
        ]
    )


def functional() -> striate.Model:
    images = Input(SHAPE)
    x = layers.Rescaling(1 / 255)(images)
    x = y = layers.Conv2D(5, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.3)(layers.ReLU()(x))
    x = layers.Add()([layers.Conv2D(5, 3, padding="same")(x), y])
    x = layers.GlobalAveragePooling2D()(layers.BatchNormalization()(x))
    return striate.Model(images, layers.Dense(3, "softmax")(x))


def optimizer(kind: str) -> Any:
    options: dict[str, Any] = {"use_ema": True, "gradient_accumulation_steps": 2}
    if kind == "sequential":
        return Adam(OneCycle(0.01), weight_decay=0.01, **options)
    options |= {"ema_momentum": PiecewiseLinear([0, 20], [0.0, 0.9]), "ema_overwrite_frequency": 3}
    made = SGD(OneCycle(0.1), momentum=0.9, nesterov=True, global_clipnorm=1.0, **options)
    made.set_learning_rate_multipliers({"/beta$": 8.0})
    return made


def train(kind: str, folder: str, kill_after: int | None = None) -> dict[str, Any]:
    striate.set_random_seed(11)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (74, *SHAPE)).astype(np.uint8)
    y = rng.integers(0, 3, 74)
    model = sequential() if kind == "sequential" else functional()
    model.compile(
        optimizer(kind), SparseCategoricalCrossentropy(label_smoothing=0.1), metrics=["accuracy"]
    )
    data = AugmentedArrays(x[:50], y[:50], [RandomFlip(), RandomCrop(8, padding=2)], batch_size=10)

    def kill(epoch: int, logs: Any) -> None:
        if epoch == kill_after:
            os._exit(9)

    callbacks = [
        SwapEMAWeights(),
        EarlyStopping(patience=9, restore_best_weights=True),
        LambdaCallback(on_epoch_begin=kill),
        BackupAndRestore(folder, delete_checkpoint=False),
    ]
    history = model.fit(
        data, epochs=EPOCHS, validation_data=(x[50:], y[50:]), callbacks=callbacks, verbose=0
    )
    return {
        "hash": model.weights_hash(),
        "history": history.history,
        "iterations": model.network.iterations,
    }


if __name__ == "__main__":
    striate.set_num_threads(int(sys.argv[3]))
    after = int(sys.argv[4]) if len(sys.argv) > 4 else None
    print(json.dumps(train(sys.argv[1], sys.argv[2], after)))
