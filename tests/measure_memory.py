"""What a network takes of the machine's memory, in a process of its own; a line of JSON.

    python tests/measure_memory.py NETWORK BATCH fit|predict STEPS

Bytes: "planned" by `model.memory`, "asked" resident growth by making the model and asking,
"growth" the peak's over what was resident after the imports. With no steps nothing is run.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from striate import Model, applications, optimizers

NETWORKS = {
    "resnet18": lambda: applications.ResNet18(input_shape=(64, 64, 3)),
    "googlenet": lambda: applications.GoogLeNet(input_shape=(96, 96, 3), auxiliary=False),
    "vgg16 on 32x32": lambda: applications.VGG16(input_shape=(32, 32, 3), batch_norm=True),
    "cifar resnet20": applications.ResNet20,
    "lenet5": applications.LeNet5,
    "vgg19": applications.VGG19,
}


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """Not getrusage's, which remembers the process that this one was forked from."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("no VmHWM in /proc/self/status")


def run(model: Model, batch: int, training: bool, steps: int) -> None:
    shape = (batch, *model.sample_shape)
    x = np.zeros(shape, np.float32)
    y = np.arange(batch) % 10
    for _ in range(steps):
        if training:
            model.train_on_batch(x, y)
        else:
            model.predict(x)


def main() -> None:
    network, batch, what, steps = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    training = what == "fit"
    before = resident()
    model = NETWORKS[network]()
    if training:
        model.compile(optimizers.SGD(0.001, momentum=0.9), "sparse_categorical_crossentropy")
    planned = model.memory(batch, training)
    asked = resident() - before
    if steps:
        run(model, batch, training, steps)
    print(json.dumps({"planned": planned, "asked": asked, "growth": peak() - before}))


if __name__ == "__main__":
    main()
