"""The parent's side of a benchmark: workers that take turns, and medians of what they measured.

Fairness: all workers run on the same CPUs with the same number of threads, and every runtime keeps
its own wait policy, the one its users get. So that an idle worker's threads can't spin on a core
which another one needs, a worker is stopped (SIGSTOP) unless it is its turn.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

HERE = Path(__file__).parent
PEERS = HERE / "peers"
Key = TypeVar("Key")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--threads, --json and --python: what every benchmark with peers takes."""
    parser.add_argument("--threads", type=int, help="CPUs to use (default: all there are)")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    parser.add_argument(
        "--python", action="append", default=[], metavar="PEER=PYTHON",
        help="the interpreter that has this peer (default: this one)",
    )  # fmt: skip


class PeerError(RuntimeError):
    """A worker could not do what it was asked; the message is the framework's."""


class Worker:
    """A peer in a process of its own. `worker.call("method", argument=..)` runs it there.

    name: what tables call it. script: a file of benchmarks/peers that calls `worker.serve`.
    python: the interpreter that has the framework. Its messages go to the file `log`.
    """

    def __init__(
        self, name: str, script: str, threads: int, log: Path, python: str = sys.executable
    ):
        self.name, self.log = name, log
        with open(log, "w") as messages:
            self._process = subprocess.Popen(
                [python, str(PEERS / script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages,
                text=True,
                env=os.environ | _variables(threads),
            )
        self._pause()

    def call(self, method: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._resume()
        try:
            request = json.dumps({"method": method, "arguments": arguments})
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise PeerError(f"{self.name}: its process ended: {_last_line(self.log)}")
        self._pause()
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{self.name}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        """Ends the process: by closing its stdin, or by force after 10 s."""
        self._resume()
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _pause(self) -> None:
        if hasattr(signal, "SIGSTOP"):
            self._process.send_signal(signal.SIGSTOP)

    def _resume(self) -> None:
        if hasattr(signal, "SIGCONT"):
            self._process.send_signal(signal.SIGCONT)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")


def _variables(threads: int) -> dict[str, str]:
    """Of a worker: how many threads its runtime takes, and where worker.py lies."""
    names = ("OMP_NUM_THREADS", "STRIATE_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return dict.fromkeys(names, str(threads)) | {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "PYTHONPATH": os.pathsep.join(paths),
    }


def use_cpus(threads: int | None) -> int:
    """Keeps this process, and the workers it starts later, on `threads` CPUs. Returns how many."""
    if not hasattr(os, "sched_getaffinity"):
        return threads or os.cpu_count() or 1
    cpus = sorted(os.sched_getaffinity(0))
    if threads is not None:
        cpus = cpus[:threads]
        os.sched_setaffinity(0, cpus)
    return len(cpus)


def start_workers(
    peers: Sequence[str],
    benchmark: str,
    threads: int,
    folder: Path,
    pythons: Sequence[str] = (),
) -> list[Worker]:
    """The peers that could be started and have loaded the images; others are named and left out.

    A peer's script is PEER_BENCHMARK.py, which loads what it needs from `folder`. pythons:
    "PEER=PYTHON", the interpreter that has a peer, where that isn't this one.
    """
    chosen = dict(pair.split("=", 1) for pair in pythons)
    workers = []
    for name in peers:
        log = folder / f"{name}.log"
        script = f"{name}_{benchmark}.py"
        if not (PEERS / script).exists():
            print(f"left out: {name}: there is no benchmarks/peers/{script}")
            continue
        worker = Worker(name, script, threads, log, chosen.get(name, sys.executable))
        try:
            worker.call("load", folder=str(folder), threads=threads)
            workers.append(worker)
        except PeerError as error:
            print(f"left out: {error}", flush=True)
            worker.close()
    return workers


@contextmanager
def working(
    peers: Sequence[str],
    benchmark: str,
    threads: int,
    folder: Path,
    pythons: Sequence[str] = (),
) -> Iterator[list[Worker]]:
    """`start_workers`, and their end; what a worker could not do ends the program.

    Raises:
        SystemExit: no peer could be started, or one failed.
    """
    workers = start_workers(peers, benchmark, threads, folder, pythons)
    try:
        if not workers:
            raise SystemExit("no peer could be started")
        yield workers
    except PeerError as error:
        raise SystemExit(str(error)) from error
    finally:
        for worker in workers:
            worker.close()


def versions(workers: Sequence[Worker]) -> dict[str, Any]:
    return {worker.name: worker.call("versions") for worker in workers}


class FmaLimit:
    """The machine's multiply-add limit on the threads that all peers use, by striate's worker.

    `limit()` measures it, GFLOP/s. `limit.steady(call)` gives a sample during which it held.

    A virtual machine's CPUs may share one core for fractions of a second: both busy, no time
    stolen, half the limit. What is measured then says nothing of a library, and 0.1 s in a second
    decide about a row, so such a sample is taken again, whosever it is: the limit is measured in
    front of it and behind it.
    """

    HOLDS = 0.75  # of the best seen
    TRIES = 8  # of a sample; the last counts
    FRESH = 0.05  # seconds for which the last measurement counts as in front

    def __init__(self, worker: Worker):
        self._measure = partial(worker.call, "fma_peak", threads=use_cpus(None))
        self.taken_again = 0
        self.best = max(self() for _ in range(3))

    def __call__(self) -> float:
        self.last = float(self._measure())
        self._when = time.perf_counter()
        return self.last

    def steady(self, call: Callable[[], float]) -> float:
        for attempt in range(1, self.TRIES + 1):
            if time.perf_counter() - self._when > self.FRESH:
                self()
            before = self.last
            sample = call()
            self.best = max(self.best, before, self())
            if min(before, self.last) >= self.HOLDS * self.best or attempt == self.TRIES:
                break
            self.taken_again += 1
        return sample


def fma_limit(workers: Sequence[Worker]) -> FmaLimit | None:
    for worker in workers:
        if worker.name == "striate":
            try:
                return FmaLimit(worker)
            except PeerError as error:
                print(f"no FMA limit: {error}")
    return None


def in_turn(measurements: Mapping[Key, Callable[[], float]], rounds: int) -> dict[Key, list[float]]:
    """Takes every measurement once a round, the order turned by one each round."""
    samples: dict[Key, list[float]] = {key: [] for key in measurements}
    keys = list(measurements)
    for turn in range(rounds):
        shift = turn % max(len(keys), 1)
        for key in keys[shift:] + keys[:shift]:
            samples[key].append(measurements[key]())
    return samples


def summary(samples: Iterable[float]) -> dict[str, Any]:
    values = list(samples)
    return {"median": median(values), "min": min(values), "max": max(values), "samples": values}
