"""The ten 7x12 bitmaps that are LeNet-5's fixed output codes (LeCun et al. 1998, figure 3).

F6 has 84 = 7 * 12 units: for a "3" it should paint the stylised 3 below, +1 where there is ink and
-1 elsewhere, and output unit i measures the squared distance to bitmap i. Characters that look
alike get codes that lie close: 6 and 8 differ in 12 pixels, the closest pair; the farthest in 50.

The bitmaps follow the transcription of figure 3 in mattwang44/LeNet-from-Scratch
(utils/RBF_initial_weight.py). The detached top bars of 0, 2, 4 and 5 come with it; they do no
harm, as the codes only have to be far enough apart.
"""

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 12, 7

# Two shelves of five digits, 0-4 and 5-9; "#" is +1 (ink), "." is -1.
_BITMAPS = """
.#####.  ...##..  .#####.  #######  .#####.
.......  ..###..  .......  .....##  .......
..###..  .####..  .#####.  ....##.  .......
.##.##.  ...##..  ##...##  ...##..  .##..##
##...##  ...##..  #....##  ..####.  .##..##
##...##  ...##..  ....##.  .....##  ###..##
##...##  ...##..  ..###..  .....##  ##...##
##...##  ...##..  .##....  .....##  ##...##
.##.##.  ...##..  ##.....  ##...##  ##..###
..###..  .######  #######  .#####.  .######
.......  .......  .......  .......  .....##
.......  .......  .......  .......  .....##

.#####.  ..####.  #######  .#####.  .#####.
.......  .##....  .....##  ##...##  ##..###
#######  ##.....  .....##  ##...##  ##...##
##.....  ##.....  ....##.  ##...##  ##...##
##.....  ######.  ...##..  .#####.  ##..###
.####..  ###..##  ...##..  ##...##  .######
..####.  ##...##  ..##...  ##...##  .....##
.....##  ##...##  ..##...  ##...##  .....##
##...##  ###..##  ..##...  ##...##  ....##.
.#####.  .#####.  ..##...  .#####.  .####..
.......  .......  .......  .......  .......
.......  .......  .......  .......  .......
"""


def rbf_codes() -> NDArray[np.float32]:
    """The codes as a [10, 84] array of -1 and +1; row i is digit i's bitmap, row by row."""
    shelves = [shelf.split("\n") for shelf in _BITMAPS.strip().split("\n\n")]
    digits = [digit for shelf in shelves for digit in zip(*map(str.split, shelf), strict=True)]
    ink = [[pixel == "#" for row in digit for pixel in row] for digit in digits]
    return np.array(ink, np.float32) * 2 - 1
