"""LeNet-5 in plain JAX: lax's convolutions and pooling, value_and_grad, SGD; a step is jitted."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from worker import median_seconds, serve

Parameters = dict[str, Any]
State = tuple[Parameters, Parameters]  # parameters, velocities

RATE, MOMENTUM = 0.01, 0.9
# One jitted call a step, or one for a whole pass.
TRAINING = ("jit", "jit, a scan over the pass")


def convolve(x: Any, p: Parameters, name: str, padding: str) -> Any:
    """x [N, H, W, C], then ReLU."""
    y = lax.conv_general_dilated(
        x, p[f"{name}/kernel"], (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return jax.nn.relu(y + p[f"{name}/bias"])


def pool(x: Any) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def dense(x: Any, p: Parameters, name: str) -> Any:
    return x @ p[f"{name}/kernel"] + p[f"{name}/bias"]


def logits(p: Parameters, x: Any) -> Any:
    """x [N, 28, 28, 1] to [N, 10]."""
    x = pool(convolve(x, p, "c1", "SAME"))
    x = pool(convolve(x, p, "c3", "VALID"))
    x = jax.nn.relu(dense(x.reshape(len(x), -1), p, "c5"))
    return dense(jax.nn.relu(dense(x, p, "f6")), p, "output")


def loss(p: Parameters, x: Any, y: Any) -> Any:
    log_probabilities = jax.nn.log_softmax(logits(p, x))
    return -jnp.mean(jnp.take_along_axis(log_probabilities, y[:, None], axis=1))


def step(state: State, x: Any, y: Any) -> tuple[State, Any]:
    parameters, velocities = state
    value, gradients = jax.value_and_grad(loss)(parameters, x, y)
    velocities = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocities, gradients)
    parameters = jax.tree.map(lambda p, v: p - RATE * v, parameters, velocities)
    return (parameters, velocities), value


def pass_over(state: State, images: Any, labels: Any, order: Any) -> tuple[State, Any]:
    """order: [steps, batch], rows of images and labels."""
    return lax.scan(lambda s, rows: step(s, images[rows], labels[rows]), state, order)


@partial(jax.jit, donate_argnums=0)
def gathered_step(state: State, images: Any, labels: Any, rows: Any) -> tuple[State, Any]:
    return step(state, images[rows], labels[rows])


scanned_pass = jax.jit(pass_over, donate_argnums=0)
predict = jax.jit(lambda p, x: jax.nn.softmax(logits(p, x)))


class JaxPeer:
    def versions(self) -> dict[str, str]:
        return {"jax": jax.__version__}

    def load(self, folder: str, threads: int) -> None:
        """XLA takes as many threads as it is given CPUs."""
        self.host_images = np.load(Path(folder, "images.npy"))
        self.images = jnp.asarray(self.host_images)
        self.labels = jnp.asarray(np.load(Path(folder, "labels.npy")).astype(np.int32))
        self.weights = dict(np.load(Path(folder, "weights.npz")))
        self.parameters = self.fresh()[0]
        self.states: dict[tuple[str, int], State] = {}

    def fresh(self) -> State:
        parameters = {name: jnp.array(value) for name, value in self.weights.items()}
        return parameters, jax.tree.map(jnp.zeros_like, parameters)

    def outputs(self, path: str, images: int, steps: int) -> None:
        """Probabilities [images, 10] after so many training steps on those images."""
        state = self.fresh()
        for _ in range(steps):
            state, _ = gathered_step(state, self.images, self.labels, jnp.arange(images))
        np.save(path, np.asarray(predict(state[0], self.images[:images])))

    def settings(self, what: str) -> list[str]:
        return list(TRAINING) if what == "train" else ["jit"]

    def train(self, setting: str, batch: int, steps: int) -> float:
        """Seconds a step."""
        key = (setting, batch)
        state = self.states.pop(key, None) or self.fresh()
        run = self._scan if "scan" in setting else self._loop
        if "scan" in setting:  # is compiled for a number of steps
            state, _ = jax.block_until_ready(run(state, batch, steps))
        start = time.perf_counter()
        state, _ = jax.block_until_ready(run(state, batch, steps))
        seconds = (time.perf_counter() - start) / steps
        self.states[key] = state
        return seconds

    def _order(self, batch: int, steps: int) -> Any:
        return np.random.permutation(batch * steps).astype(np.int32).reshape(steps, batch)

    def _loop(self, state: State, batch: int, steps: int) -> tuple[State, Any]:
        value = None
        for rows in self._order(batch, steps):
            state, value = gathered_step(state, self.images, self.labels, rows)
        return state, value

    def _scan(self, state: State, batch: int, steps: int) -> tuple[State, Any]:
        return scanned_pass(state, self.images, self.labels, self._order(batch, steps))

    def infer(self, setting: str, batch: int, steps: int) -> float:
        """Seconds a call, from an array of NumPy's to one."""
        images = self.host_images[:batch].copy()
        call: Callable[[], Any] = lambda: np.asarray(predict(self.parameters, images))  # noqa: E731
        return median_seconds(call, steps)


if __name__ == "__main__":
    serve(JaxPeer)
