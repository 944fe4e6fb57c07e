"""One run of mnist99.py in striate: python striate_mnist99.py DATA SEED THREADS."""

import sys

from striate import _core, applications
from striate.datasets import mnist
from striate.optimizers import AdamW
from striate.schedules import OneCycle

EPOCHS, BATCH, RATE = 2, 128, 0.012


def main(data: str, seed: int, threads: int) -> None:
    _core.set_num_threads(threads)
    (x, y), (x_test, y_test) = mnist.load_data(data)
    model = applications.LeNet5()
    model.seed = seed
    model.compile(
        AdamW(OneCycle(RATE, EPOCHS * -(-len(x) // BATCH), pct_start=0.2), weight_decay=0.1,
              beta_2=0.95),
        "sparse_categorical_crossentropy", metrics=["accuracy"],
    )  # fmt: skip
    model.fit(x[..., None] / 255.0, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    print(model.evaluate(x_test[..., None] / 255.0, y_test, batch_size=256, verbose=0)[1])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
