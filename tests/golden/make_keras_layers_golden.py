"""Makes keras_layers.npz: what Keras 3 computes for the cases of keras_layers_case.py.

    KERAS_BACKEND=torch python tests/golden/make_keras_layers_golden.py [--output FILE]

Contents:
    index   JSON, by case: its name, so that a change of the list does not go unseen, the names of
            the weights in get_weights order, and the output's shape
    y       the outputs, one after the other, float32
"""

import argparse
import json
from pathlib import Path

import keras
import numpy as np
from keras_layers_case import CASES, numbers

DEFAULT_OUTPUT = Path(__file__).parent / "keras_layers.npz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    arguments = parser.parse_args()
    index, outputs = [], []
    for case in CASES:
        layer = getattr(keras.layers, case.layer)(**case.options)
        layer.build(case.input)
        x, weights = numbers(case, [tuple(w.shape) for w in layer.weights])
        layer.set_weights(weights)
        y = keras.ops.convert_to_numpy(layer(x)).astype(np.float32)
        outputs.append(y.ravel())
        names = [w.name for w in layer.weights]
        index.append({"name": case.name, "weights": names, "shape": y.shape})
    np.savez_compressed(
        arguments.output, index=np.array(json.dumps(index)), y=np.concatenate(outputs)
    )
    print(f"{len(CASES)} cases of Keras {keras.__version__} in {arguments.output}")


if __name__ == "__main__":
    main()
