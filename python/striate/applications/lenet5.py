"""LeNet-5 as it is taught today: softmax instead of RBF units, pooling without weights.

    layer   what it does                      output shape   parameters
    c1      6 kernels 5x5, "same", squash     28 x 28 x  6          156
    s2      2x2 pooling, stride 2             14 x 14 x  6            0
    c3      16 kernels 5x5, "valid", squash   10 x 10 x 16        2,416
    s4      2x2 pooling, stride 2              5 x  5 x 16            0
    c5      120 units, squash                          120       48,120
    f6      84 units, squash                            84       10,164
    output  10 units, softmax                           10          850
                                                     total       61,706

The network of the paper, to the letter, is LeNet5_1998.
"""

from pathlib import Path

from striate.errors import ArgumentError
from striate.layers import AveragePooling2D, Conv2D, Dense, Flatten, Input, Layer, MaxPooling2D
from striate.models import Sequential

POOLINGS = ("max", "average")


def LeNet5(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    activation: str = "relu",
    pooling: str = "max",
    weights: str | Path | None = None,
    name: str = "lenet5",
) -> Sequential:
    """LeNet-5 with 61,706 parameters at the default input shape and number of classes.

    input_shape: (height, width, channels) of an image, at least 12 x 12.
    activation: what follows c1, c3, c5 and f6; "tanh" with pooling "average" is nearest to 1998.
    pooling: "max" or "average", for s2 and s4.
    weights: a model file to take the weights from; None leaves them freshly initialised.
    """
    if pooling not in POOLINGS:
        raise ArgumentError(f'LeNet5: pooling is "max" or "average", got {pooling!r}')

    def pool(name: str) -> Layer:
        return (MaxPooling2D if pooling == "max" else AveragePooling2D)(2, name=name)

    model = Sequential(
        [
            Input(shape=input_shape),
            Conv2D(6, 5, padding="same", activation=activation, name="c1"),
            pool("s2"),
            Conv2D(16, 5, padding="valid", activation=activation, name="c3"),
            pool("s4"),
            Flatten(name="flatten"),
            Dense(120, activation=activation, name="c5"),
            Dense(84, activation=activation, name="f6"),
            Dense(classes, activation="softmax", name="output"),
        ],
        name=name,
    )
    if weights is not None:
        model.load_weights(weights)
    return model
