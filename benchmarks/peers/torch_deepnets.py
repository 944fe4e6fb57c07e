"""The networks in PyTorch, as its users would train them on a CPU: eager, fused SGD."""

import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from batches import random_batch
from memory_use import peak_bytes, resident_bytes
from torch import Tensor
from torch_networks import NETWORKS, build, multiply_accumulates, settle_statistics
from torch_onnx import export
from worker import serve

# Deep networks are faster in channels_last at every batch size; LeNet-5 is not at small ones.
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


class TorchPeer:
    """One network at a time; `prepare` makes it."""

    def __init__(self) -> None:
        self.after_import = resident_bytes()

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}

    def load(self, folder: str, threads: int) -> None:
        torch.set_num_threads(threads)

    def prepare(
        self, network: str, batch: int, side: int = 224, precision: str = "float32"
    ) -> dict[str, int]:
        """precision: is striate's."""
        torch.manual_seed(2015)
        self.network, self.model = network, build(network)
        images, labels = random_batch(network, batch, side)
        self.x = torch.from_numpy(images).permute(0, 3, 1, 2)  # NHWC in memory: channels_last
        self.y = torch.from_numpy(labels)
        self.compiled: Callable[[Tensor], Tensor] | None = None
        self._lay_out("channels_last")
        return {"parameters": NETWORKS[network][1]}

    def _lay_out(self, layout: str) -> None:
        self.layout = layout
        self.model.to(memory_format=LAYOUTS[layout])
        self.x = self.x.contiguous(memory_format=LAYOUTS[layout])
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.01, momentum=0.9, fused=True)

    def save_weights(self, path: str) -> None:
        """The state dict as arrays, with statistics of the batch."""
        settle_statistics(self.model, self.x)
        state = self.model.state_dict()
        np.savez(path, **{name: tensor.numpy() for name, tensor in state.items()})

    def export_onnx(self, path: str) -> None:
        export(self.model, self.x[:2], path)

    def outputs(self, path: str, batch: int) -> None:
        """Probabilities [batch, classes]."""
        self.model.eval()
        with torch.inference_mode():
            np.save(path, F.softmax(self.model(self.x[:batch]), 1).numpy())

    def count(self) -> int:
        """Multiply-accumulates an image."""
        return multiply_accumulates(self.model, self.x[:1])

    def forget(self) -> None:
        del self.model, self.optimizer, self.x, self.y
        self.compiled = None
        torch.compiler.reset()

    def settings(self, what: str, compiled: bool = False) -> list[str]:
        layouts = list(LAYOUTS) if self.network == "lenet5" else ["channels_last"]
        return layouts + ([f"compile, {layout}" for layout in layouts] if compiled else [])

    def _use(self, setting: str, threads: int) -> Callable[[Tensor], Tensor]:
        torch.set_num_threads(threads)
        layout = setting.rpartition(" ")[2]
        if layout != self.layout:
            self._lay_out(layout)
        if not setting.startswith("compile"):
            return self.model
        if self.compiled is None:
            self.compiled = torch.compile(self.model)
        return self.compiled

    def train(self, setting: str, threads: int, batch: int, steps: int) -> float:
        """Seconds a step."""
        model = self._use(setting, threads)
        self.model.train()
        x, y = self.x[:batch], self.y[:batch]
        start = time.perf_counter()
        for _ in range(steps):
            self.optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            self.optimizer.step()
            loss.item()
        return (time.perf_counter() - start) / steps

    def infer(self, setting: str, threads: int, batch: int, steps: int) -> float:
        model = self._use(setting, threads)
        self.model.eval()
        x = self.x[:batch]
        start = time.perf_counter()
        with torch.inference_mode():
            for _ in range(steps):
                F.softmax(model(x), 1)
        return (time.perf_counter() - start) / steps

    def memory(self) -> dict[str, int]:
        return {"after_import": self.after_import, "peak": peak_bytes()}


if __name__ == "__main__":
    serve(TorchPeer)
