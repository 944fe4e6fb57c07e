"""LeNet-5 to the letter of the paper that introduced it.

LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition",
Proc. IEEE 86(11):2278-2324, November 1998, section II-B and appendix A.

    layer   what it does                              output shape  parameters  connections
    c1      6 kernels 5x5                             28 x 28 x  6         156      122,304
    s2      sums of 2x2, times coefficient plus bias  14 x 14 x  6          12        5,880
    c3      16 kernels 5x5 over the maps of Table I   10 x 10 x 16       1,516      151,600
    s4      sums of 2x2, times coefficient plus bias   5 x  5 x 16          32        2,000
    c5      120 kernels 5x5                            1 x  1 x120      48,120       48,120
    f6      84 units                                            84      10,164       10,164
    output  squared distances to ten 7x12 bitmaps               10           0          840
                                                             total      60,000      340,908

Every layer through f6 is squashed by 1.7159 tanh(2/3 a), the subsampling layers too. The output
is a distance for each class, so the network's answer is the *smallest* one.

What the paper leaves open, and what is done here: weights start uniformly in +-2.4/F, where F is
the fan-in of their unit, and so do biases, which the paper counts among the weights; the bias's
own constant input is not counted in F. A subsampling unit has four inputs, so its coefficient and
bias start in +-0.6.
"""

import numpy as np
from numpy.typing import NDArray

from striate.applications.rbf_bitmaps import rbf_codes
from striate.errors import ShapeError
from striate.initializers import FanInUniform, Initializer
from striate.layers import Conv2D, Dense, Flatten, Input, RBFOutput, Subsampling2D
from striate.models import Sequential

# White (0) and black (255) after `preprocess`: section II-B.
BACKGROUND, FOREGROUND = -0.1, 1.175

# Table I: a column a C3 map (0 to 15), a row an S2 map (0 to 5).
_TABLE_I = """
X...XXX..XXXX.XX
XX...XXX..XXXX.X
XXX...XXX..X.XXX
.XXX..XXXX..X.XX
..XXX..XXXX.XX.X
...XXX..XXXX.XXX
"""


def c3_connections() -> NDArray[np.bool_]:
    """Table I as [6, 16] booleans: True where that S2 map feeds that C3 map; 60 of 96 do."""
    return np.array([[mark == "X" for mark in row] for row in _TABLE_I.split()])


def preprocess(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """MNIST's images as the paper feeds them: [N, 28, 28] or [N, 28, 28, 1] -> [N, 32, 32, 1].

    White becomes -0.1 and black 1.175; two pixels of white are added on every side, so that a
    stroke's end can lie in the middle of a kernel of the highest layer.
    """
    images = np.asarray(images)
    if images.shape[1:] not in ((28, 28), (28, 28, 1)):
        raise ShapeError(
            f"lenet5_1998.preprocess: takes images [N, 28, 28] or [N, 28, 28, 1], "
            f"got shape {images.shape}"
        )
    count = len(images)
    padded = np.full((count, 32, 32, 1), BACKGROUND, np.float32)
    gray = images.reshape(count, 28, 28, 1).astype(np.float32)
    padded[:, 2:30, 2:30] = gray * np.float32((FOREGROUND - BACKGROUND) / 255) + BACKGROUND
    return padded


def LeNet5_1998(initializer: Initializer | None = None, name: str = "lenet5_1998") -> Sequential:
    """LeNet-5 of 1998: 60,000 parameters, 340,908 connections; see the table above.

    Feed it `preprocess`ed images; train it with losses.MAPLoss and optimizers.SDLM, a sample at a
    time, at the rates of schedules.lenet5_1998.

    initializer: of c1, c3, c5 and f6; None is the paper's +-2.4/F. `recipes` says why training at
    the paper's rates wants LecunUniform().
    """
    narrow = FanInUniform(limit=2.4)
    start = narrow if initializer is None else initializer

    def convolution(filters: int, name: str, table: NDArray[np.bool_] | None = None) -> Conv2D:
        return Conv2D(
            filters,
            5,
            activation="scaled_tanh",
            connections=table,
            kernel_initializer=start,
            bias_initializer=start,
            name=name,
        )

    def subsampling(name: str) -> Subsampling2D:
        return Subsampling2D(
            2,
            2,
            activation="scaled_tanh",
            coefficient_initializer=narrow,
            bias_initializer=narrow,
            name=name,
        )

    f6 = Dense(
        84, activation="scaled_tanh", kernel_initializer=start, bias_initializer=start, name="f6"
    )
    return Sequential(
        [
            Input(shape=(32, 32, 1)),
            convolution(6, "c1"),
            subsampling("s2"),
            convolution(16, "c3", c3_connections()),
            subsampling("s4"),
            convolution(120, "c5"),
            Flatten(name="flatten"),
            f6,
            RBFOutput(rbf_codes(), name="output"),
        ],
        name=name,
    )
