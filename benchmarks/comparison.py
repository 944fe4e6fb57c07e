"""Peers at the same work: each at the setting that is fastest for it, in turn, and the ratios.

A case is one row group of the table: work that every peer does, "training ResNet-50, batch 16". A
peer offers settings, each a function steps -> seconds a step. Short trials pick the fastest one,
which then runs the rounds; a sample is so many steps that it takes about a second.

Ratios are of striate's speed to the best other peer's, and to PyTorch's, above 1 where striate is
faster: of the medians, and by round. The share of the FMA limit takes FLOP by the network's
definition, 2 a multiply-accumulate: an algorithm that multiplies less, like Winograd's, gets the
same count, so the share may pass 100 %.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import harness
import report
from harness import FmaLimit, PeerError

Measure = Callable[[int], float]
Settings = Mapping[str, Measure]
Row = dict[str, Any]

US = "striate"


@dataclass(frozen=True)
class Case:
    """labels: the table's first columns. samples, flops: of one step; 0 FLOP: not a matter of FMA.

    trial_steps, most_steps: of a trial, and of a sample at most.
    """

    labels: Mapping[str, Any]
    samples: int
    flops: float = 0.0
    trial_steps: int = 1
    most_steps: int = 10


@dataclass(frozen=True)
class Effort:
    """rounds: of which medians are shown. seconds: a sample's. trials: of each setting."""

    rounds: int = 5
    seconds: float = 1.0
    trials: int = 2


@dataclass
class Entry:
    """A peer in a case, at the setting that won its trials."""

    peer: str
    setting: str
    measure: Measure
    steps: int
    trials: dict[str, float]  # seconds a step by setting


Field = tuple[Case, Mapping[str, Settings]]


def fastest(
    peer: str, settings: Settings, case: Case, limit: FmaLimit | None, effort: Effort
) -> Entry | None:
    """By the better of the trials after a first, which allocates and compiles."""
    trials: dict[str, float] = {}
    for setting, measure in settings.items():
        call = partial(measure, case.trial_steps)
        try:
            call()
            trials[setting] = min(
                limit.steady(call) if limit else call() for _ in range(effort.trials)
            )
        except PeerError as error:
            print(f"  left out, {setting}: {error}", flush=True)
    if not trials:
        return None
    best = min(trials, key=lambda setting: trials[setting])
    steps = round(effort.seconds / max(trials[best], 1e-9))
    return Entry(peer, best, settings[best], min(max(1, steps), case.most_steps), trials)


def measure(fields: Iterable[Field], limit: FmaLimit | None, effort: Effort) -> list[Row]:
    """The rows of these cases, all peers of all cases in every round, while the limit holds."""
    chosen: list[tuple[Case, list[Entry]]] = []
    for case, peers in fields:
        found = [fastest(peer, settings, case, limit, effort) for peer, settings in peers.items()]
        chosen.append((case, [entry for entry in found if entry is not None]))
    calls: dict[Any, Callable[[], float]] = {}
    for number, (_, entries) in enumerate(chosen):
        for entry in entries:
            call = partial(entry.measure, entry.steps)
            calls[number, entry.peer] = partial(limit.steady, call) if limit else call
    if limit is not None:
        calls["limit"] = limit
    again = limit.taken_again if limit is not None else 0
    samples = harness.in_turn(calls, effort.rounds)
    if limit is not None and limit.taken_again > again:
        print(f"  samples taken again: {limit.taken_again - again}", flush=True)
    gflops = median(samples["limit"]) if limit is not None else None
    rows = []
    for number, (case, entries) in enumerate(chosen):
        seconds = {entry.peer: samples[number, entry.peer] for entry in entries}
        rows += [_row(case, entry, seconds, gflops) for entry in entries]
    return rows


def _row(
    case: Case, entry: Entry, seconds: Mapping[str, Sequence[float]], limit: float | None
) -> Row:
    own = harness.summary(seconds[entry.peer])
    row: Row = {
        **case.labels,
        "peer": entry.peer,
        "setting": entry.setting,
        "trial_seconds": entry.trials,
        "steps_a_sample": entry.steps,
        "seconds_a_step": own,
        "samples_per_second": case.samples / own["median"],
        "fma_limit_gflops": limit,
    }
    if case.flops:
        row["gflops"] = case.flops / own["median"] / 1e9
        if limit:
            row["share_of_fma_limit"] = row["gflops"] / limit
    if entry.peer == US:
        others = {peer: values for peer, values in seconds.items() if peer != US}
        if others:
            best = min(others, key=lambda peer: median(others[peer]))
            row["to_best"] = _ratio(best, others[best], seconds[US])
        if "torch" in others:
            row["to_torch"] = _ratio("torch", others["torch"], seconds[US])
    return row


def _ratio(peer: str, theirs: Sequence[float], ours: Sequence[float]) -> dict[str, Any]:
    by_round = [a / b for a, b in zip(theirs, ours, strict=True)]
    return {"peer": peer, "ratio": median(theirs) / median(ours), "by_round": by_round}


def table(rows: Sequence[Row], labels: Sequence[str]) -> str:
    """labels: of the cases, the first columns."""
    lines = []
    for row in rows:
        seconds = row["seconds_a_step"]
        best, torch = row.get("to_best"), row.get("to_torch")
        share = row.get("share_of_fma_limit")
        samples = row["samples_per_second"] * seconds["median"]
        lines.append(
            [
                *(row[label] for label in labels),
                row["peer"],
                duration(seconds["median"]),
                number(row["samples_per_second"]),
                f"{number(samples / seconds['max'])}..{number(samples / seconds['min'])}",
                f"{best['ratio']:.2f} ({best['peer']})" if best else "-",
                f"{min(best['by_round']):.2f}..{max(best['by_round']):.2f}" if best else "-",
                f"{torch['ratio']:.2f}" if torch else "-",
                f"{share:.1%}" if share else "-",
                row["setting"],
            ]
        )
    header = [
        *labels, "peer", "a step", "images/s", "min..max", "to best", "by round", "to torch",
        "of FMA limit", "setting",
    ]  # fmt: skip
    return report.table(header, lines)


def duration(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{1e6 * seconds:.1f} us"
    return f"{1e3 * seconds:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def fma_limit(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Of the medians that were measured between the rounds."""
    limits = [row["fma_limit_gflops"] for row in rows if row["fma_limit_gflops"]]
    return harness.summary(limits) if limits else None
