"""Why a training does not repeat: what it draws from, which nobody seeded.

Trained again in one process, from the same weights on the same batch, a side comes to other bits. A source of random
numbers is proved if the same trainings agree, bit for bit, once it gives each the same numbers. Where they agree as
they are, what differs is decided by the process: by the hashes of strings, if processes with the same ones agree and
those with others do not. Else by none of these.
"""

import contextlib
import os
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import numpy as np

from parity import backends
from parity.backends import process
from parity.backends.build import Build
from parity.canonical.weights import OWN
from parity.checks import determinism
from parity.checks.determinism import First
from parity.compare.judge import Verdict
from parity.compare.messages import few
from parity.diagnose import Cause
from parity.diagnose.search import Explained, unlike
from parity.dtypes import Array
from parity.pair.models import PairModels
from parity.pair.resting import resting

WHERE = "optimizer"
REPEATS = 4  # of which two may agree by chance, where a single bit is drawn
HASHES = range(1, 5)  # seeds of hashes, by one of which a few strings may stand in the same order by chance
BY_HASH = "sort what a set gives, sorted(names), or keep the names in a list or a dict, whose order is that of the code"
FIX = "begin that generator at the run's own seed in front of the first step, as numpy.random.default_rng(seed) does"


def explain(corners: PairModels, example: Any, verdict: Verdict) -> Explained:
    """The sources that are proved, and what was ruled out. `example` is that of the check of processes."""
    causes, ruled = list[Cause](), list[str]()
    for side in corners.builds:
        with resting(corners):
            cause, reason = _explained(corners, side, example)
        if cause is not None:
            causes.append(cause)
        else:
            ruled.append(reason)
    if not causes:
        ruled.append(f"{verdict.subject}: what differs is decided by the process, or by an order that no seed decides")
    return causes, ruled


def _explained(corners: PairModels, side: str, example: Any) -> tuple[Cause | None, str]:
    """What a side's training draws from, or that another process has another order; and what was ruled out if neither
    is proved.
    """
    runs = [*_repeated(corners, side, example, contextlib.nullcontext)]
    apart = [unlike(runs[0], run) for run in runs]
    if not any(apart):
        arguments = _arguments(corners, side, example)
        differs = unlike(runs[0], process.fresh(_trained, *arguments))
        cause = hashed(side, WHERE, _trained, *arguments) if differs else None
        return cause, f"{side}: trained again in one process it comes to the same bits"
    differing = f"{side} comes to other bits each time, of {_places(side, runs[0], runs[int(np.argmax(apart))])}"
    for name, source in _sources(corners, side):
        again = _repeated(corners, side, example, source)
        first = next(again)
        if not any(unlike(first, run) for run in again):
            description = f"{differing}; it draws from {name}: where that gives the same numbers, it repeats its bits"
            return Cause("seed", WHERE, description, FIX, max(apart), 0.0), ""
    return None, f"{differing}, whatever Python, NumPy, {side} and the operating system draw"


def _places(side: str, one: Mapping[str, Array], other: Mapping[str, Array]) -> str:
    """Which arrays of two trainings differ, and whether the first step's loss does."""
    differing = [name for name, array in one.items() if not np.array_equal(array, other[name])]
    losses = f"{side} losses"
    if differing == [losses]:
        return "the losses alone: every weight is the same"
    steps = np.flatnonzero(one[losses] != other[losses])
    behind = "" if steps.size and not steps[0] else "; the first step's loss is the same, and what comes behind it not"
    return few([name.removeprefix(f"{side} ") for name in differing]) + behind


def _repeated(
    corners: PairModels, side: str, example: Any, source: Callable[[], AbstractContextManager[Any]]
) -> Iterator[dict[str, Array]]:
    """A side's training, as the check has it, several times; each inside what `source` makes."""
    loaded, arguments = {side: corners.backends[side]}, _arguments(corners, side, example)
    for _ in range(REPEATS):
        with source():
            yield {name: array.copy() for name, array in determinism.trained(loaded, *arguments)}


def _arguments(corners: PairModels, side: str, example: Any) -> tuple[Any, ...]:
    """What a side's training is given behind its backend, in any process."""
    batch, first = corners.batch(example), dict[str, First]({side: example.weights})
    if example.weights == OWN:
        first[side] = dict(corners.models[side, "float32"].parameters())
    return {side: corners.builds[side]}, corners.pad, first, (batch.ids, batch.targets), corners.lean


def _trained(builds: Mapping[str, Build], *arguments: Any) -> dict[str, Array]:
    """A side's training in a process in which the frameworks have yet to be loaded."""
    return dict(determinism.trained(backends.of(builds), builds, *arguments))


def hashed(side: str, where: str, run: Callable[..., Mapping[str, Array]], *arguments: Any) -> Cause | None:
    """The cause that a side goes by the hashes of strings, if what it gives in a process does and all else is equal."""
    first, again = (process.rehashed(0, run, *arguments) for _ in range(2))
    others = () if unlike(first, again) else (process.rehashed(seed, run, *arguments) for seed in HASHES)
    apart = next(filter(None, (unlike(first, other) for other in others)), 0.0)
    if not apart:
        return None
    description = (
        f"{side} goes by an order that Python's hashes of strings decide, as that of a set: processes with the "
    )
    description += "same hashes (PYTHONHASHSEED) give the same bits, with other hashes they do not"
    return Cause("hash order", where, description, BY_HASH, apart, 0.0)


def _sources(corners: PairModels, side: str) -> Iterator[tuple[str, Callable[[], AbstractContextManager[Any]]]]:
    """Where a training may draw from, each with what has it give the same numbers inside."""
    yield "Python's random", _seeded(random.getstate, random.setstate, lambda: random.seed(0))
    yield "numpy.random", _seeded(np.random.get_state, np.random.set_state, lambda: np.random.seed(0))
    yield f"{side}'s own generator", corners.models[side, "float32"].modes.seeded
    yield "a generator without a seed, which begins with what os.urandom gives", _without_entropy


def _seeded(
    get: Callable[[], Any], put: Callable[[Any], Any], seed: Callable[[], None]
) -> Callable[[], AbstractContextManager[None]]:
    """Inside, a generator begins at a seed; behind it, it goes on as if nothing had been drawn."""

    @contextlib.contextmanager
    def inside() -> Iterator[None]:
        state = get()
        seed()
        try:
            yield
        finally:
            put(state)

    return inside


@contextlib.contextmanager
def _without_entropy() -> Iterator[None]:
    """Inside, the operating system gives zeros, from which a generator begins that is given no seed."""
    with patch.object(os, "urandom", bytes), patch.object(random, "_urandom", bytes):
        yield
