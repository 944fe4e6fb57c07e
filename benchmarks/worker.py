"""The child's side of a benchmark: one process a framework, kept alive, driven over a pipe.

Each framework brings its own OpenMP runtime and thread pool; in one process they would share, and
spoil, each other's. A request is one line of JSON, {"method": name, "arguments": {..}}; so is the
answer, {"result": ..} or {"error": text}. What a framework prints goes to stderr.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from statistics import median
from typing import Any


def serve(make_peer: Callable[[], Any]) -> None:
    """Answers requests with the methods of the peer until stdin closes."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    peer: Any = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if peer is None:
                peer = make_peer()
            answer = {"result": getattr(peer, request["method"])(**request["arguments"])}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


def median_seconds(call: Callable[[], Any], calls: int, warmup: int = 20) -> float:
    """The median time of one call, each timed on its own, after `warmup` or as many again."""
    for _ in range(min(warmup, calls)):
        call()
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times)


def mean_seconds(call: Callable[[], Any], calls: int) -> float:
    """The time of one of so many calls in a row."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls
