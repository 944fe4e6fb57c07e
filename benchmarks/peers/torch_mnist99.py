"""One run of mnist99.py in PyTorch: python torch_mnist99.py DATA SEED THREADS."""

import gzip
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

EPOCHS, BATCH, RATE = 2, 128, 0.012


def read(folder: str, name: str, header: int) -> torch.Tensor:
    path = next(p for p in (Path(folder) / name, Path(folder) / f"{name}.gz") if p.exists())
    content = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=header).copy())


def images(folder: str, part: str) -> torch.Tensor:
    pixels = read(folder, f"{part}-images-idx3-ubyte", 16).view(-1, 1, 28, 28)
    return (pixels.float() / 255.0).contiguous(memory_format=torch.channels_last)


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    ).to(memory_format=torch.channels_last)  # fmt: skip


def main(data: str, seed: int, threads: int) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    x, y = images(data, "train"), read(data, "train-labels-idx1-ubyte", 8).long()
    model = network()
    optimizer = torch.optim.AdamW(
        model.parameters(), RATE, betas=(0.9, 0.95), weight_decay=0.1, foreach=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, epochs=EPOCHS, steps_per_epoch=-(-len(x) // BATCH), pct_start=0.2,
        cycle_momentum=False,
    )  # fmt: skip
    loss = nn.CrossEntropyLoss()
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for rows in order.split(BATCH):
            optimizer.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.inference_mode():
        x, y = images(data, "t10k"), read(data, "t10k-labels-idx1-ubyte", 8).long()
        right = sum(
            int((model(part).argmax(dim=1) == truth).sum())
            for part, truth in zip(x.split(1000), y.split(1000), strict=True)
        )
    print(right / len(x))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
