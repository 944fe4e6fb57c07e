"""What must be the same when training is resumed, and how what differs is named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from striate import losses, optimizers
from striate.errors import FormatError
from striate.models.serialization import serialize
from striate.schedules import LearningRateSchedule, OneCycle
from striate.schedules import serialize as serialize_schedule

if TYPE_CHECKING:
    from striate.models.model import Model

_ABSENT = object()
_CHECKSUMS = (": crc32", ": file_names")


def signature(model: Model, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The network, how it is trained and on what, as JSON-able values.

    Args:
        model: built and compiled.
        settings: of `fit`: data, batch size and the like.
    """
    found = {
        "weights": [
            [info["name"], list(info["shape"]), bool(info["trainable"])]
            for info in model.network.parameters()
        ],
        "network": _architecture(model),
        "seed": model.seed,
        **settings,
        "losses": [None if one is None else losses.serialize(one) for one in model.compiled.losses],
        "loss_weights": model.compiled.loss_weights,
        "optimizer": _optimizer(model),
    }
    normal: dict[str, Any] = json.loads(json.dumps(found))
    return normal


def _architecture(model: Model) -> Any:
    try:
        return serialize(model)
    except FormatError:  # a layer of the user's own: its weights still say something
        return None


def _optimizer(model: Model) -> dict[str, Any]:
    """The optimizer as it was compiled, whatever rate callbacks have set since."""
    optimizer = model.optimizer
    entry = optimizers.serialize(optimizer) or {"class": type(optimizer).__name__, "config": {}}
    rate: Any = model.compiled.given_rate
    if isinstance(rate, OneCycle) and isinstance(optimizer.schedule, OneCycle):
        rate = optimizer.schedule  # fit may have filled in its steps
    if isinstance(rate, LearningRateSchedule):
        rate = serialize_schedule(rate) or type(rate).__name__
    return {**entry, "config": {**entry["config"], "learning_rate": rate}}


def first_difference(was: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first thing in which two signatures differ, in words; None if they agree."""
    found = _weights_differ(was.get("weights", []), now["weights"])
    if found is not None:
        return found
    rest = [{k: v for k, v in one.items() if k != "weights"} for one in (was, now)]
    return next(differences("", *rest), None)


def _weights_differ(was: list[Any], now: list[Any]) -> str | None:
    for before, after in zip_longest(was, now):
        if before is None:
            return f"{after[0]} {_shape(after)} was not there"
        if after is None:
            return f"{before[0]} {_shape(before)} is no longer there"
        if before[1] != after[1]:
            return f"{_named(before, after)} was {_shape(before)}, is now {_shape(after)}"
        if before[2] != after[2]:
            states = ["trained" if one[2] else "frozen" for one in (before, after)]
            return f"{_named(before, after)} was {states[0]}, is now {states[1]}"
    return None


def _named(before: list[Any], after: list[Any]) -> str:
    return str(before[0]) if before[0] == after[0] else f"{before[0]} (now {after[0]})"


def _shape(weight: list[Any]) -> str:
    return str(tuple(weight[1]))


def differences(where: str, was: Any, now: Any) -> Iterator[str]:
    """What differs between two JSON-able values, in words that begin with `where`.

    Names of layers do not count: automatic ones depend on what was made before.
    """
    if isinstance(was, dict) and isinstance(now, dict):
        if {"class", "config"} <= set(was) and isinstance(was["config"], dict):
            if was["class"] != now.get("class"):
                yield f"{where} was {was['class']}, is now {now.get('class')}"
                return
            owner = was["config"].get("name") or where
            yield from differences(str(owner), was["config"], now.get("config"))
            return
        for key in [*was, *(key for key in now if key not in was)]:
            if key not in ("name", "names"):
                inner = f"{where}: {key}" if where else str(key)
                yield from differences(inner, was.get(key, _ABSENT), now.get(key, _ABSENT))
    elif isinstance(was, list) and isinstance(now, list):
        if len(was) != len(now) and any(isinstance(item, dict) for item in was + now):
            yield f"{where}: there were {len(was)}, there are now {len(now)}"
            return
        if len(was) != len(now) or not any(isinstance(item, (dict, list)) for item in was + now):
            if was != now:
                yield _changed(where, was, now)
            return
        for place, (before, after) in enumerate(zip(was, now, strict=True)):
            yield from differences(f"{where} {place}", before, after)
    elif was != now:
        yield _changed(where, was, now)


def _changed(where: str, was: Any, now: Any) -> str:
    if where.endswith(_CHECKSUMS) and _ABSENT not in (was, now):
        owner, _, what = where.rpartition(": ")
        return f"{owner}: other {'contents' if what == 'crc32' else 'file names'} than before"
    return f"{where} was {_value(was)}, is now {_value(now)}"


def _value(value: Any) -> str:
    if value is _ABSENT:
        return "not set"
    return str(tuple(value)) if isinstance(value, list) else str(value)
