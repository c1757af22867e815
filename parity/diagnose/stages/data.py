"""Why a feed differs: each side's batches beside the reference's, and beside those of a data path with a fault.

A fault is proved if it gives every batch, bit for bit, of the failing example and of rows of its own:
long and short ones, repeated ids, a short last batch, cut on either side. What is counted is the
batches that differ.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain, product
from typing import Any

import numpy as np

from parity.backends.protocol import Backend, Plan
from parity.compare.judge import Verdict
from parity.diagnose import Cause
from parity.diagnose.search import Candidate, Explained, differing, proved
from parity.dtypes import Array, Inputs
from parity.inputs.batch import batches, unpad
from parity.pair.models import PairModels

WHERE = "data"
TRIED = (
    "another padding side, pad id, cut, order of rows, rows left out or doubled, special ids, shift of the targets, "
    "ids exchanged, dtype"
)

Rows = Sequence[Sequence[int]]
Fed = list[tuple[Array, Array]]
# A cause's name, what a side that has it does, what to change, and the batches that it makes then.
Form = tuple[str, str, str, Callable[["Probe"], Fed]]


@dataclass(frozen=True, eq=False)
class Probe:
    """Rows of ids, the plan by which they should become batches, and the batches that a side made of them, `fed`."""

    rows: Rows
    plan: Plan
    pad: int
    fed: Fed
    limit: float = 0.0

    @cached_property
    def before(self) -> float:
        """How many batches are not those of the reference."""
        return self.apart(self.made())

    def apart(self, fed: Fed) -> float:
        """How many batches the side has otherwise."""
        return unlike(self.fed, fed)

    def made(self, rows: Rows | None = None, least: int = 2, **plan: Any) -> Fed:
        """The reference's batches of the rows, of other `rows`, or by another plan; rows have at least `least` ids."""
        return _batched(self.kept(self.rows if rows is None else rows, least, **plan), self.plan.size, self.pad)

    def kept(self, rows: Rows, least: int = 2, **plan: Any) -> list[list[int]]:
        """The rows in their order, each cut, without those that are too short."""
        plan_used = replace(self.plan, **plan)
        cut = slice(plan_used.limit) if plan_used.side == "right" else slice(-plan_used.limit, None)
        ordered = [list(rows[place])[cut] for place in plan_used.order]
        return [row for row in ordered if len(row) >= least]

    @property
    def found(self) -> list[list[int]]:
        """The rows that stand in the side's batches, without their padding."""
        return [row for ids, targets in self.fed for row in unpad(ids, targets, self.pad)]


def explain(corners: PairModels, example: Any, verdict: Verdict) -> Explained:
    """The causes that are proved, and what was ruled out. `example` is that of the check of the feeds."""
    causes, ruled = list[Cause](), list[str]()
    whole = [corners.tokenizer.encode(text) for text in example.texts]
    for side, backend in corners.backends.items():
        probes = list(_probes(backend, whole, example.plan, corners.tokenizer.pad, corners.tokenizer.vocab))
        if differing(probes) is None:
            ruled.append(f"{side}'s batches are those of the reference")
            continue
        # In the order in which people make them.
        faults = _paddings(probes), _cuts(probes), _specials(corners.tokenizer.specials), _targets(), _orders(probes)
        forms = chain(*faults, _rows(probes), _exchanged(probes))
        candidates = (Candidate(name, text, fix, map(path, probes)) for name, text, fix, path in forms)
        proofs = list(proved(WHERE, side, probes, candidates))
        causes += proofs
        if not proofs:
            ruled.append(f"{side}: {verdict.subject} is explained by none of {TRIED}")
    return causes, ruled


def _probes(backend: Backend, whole: Rows, plan: Plan, pad: int, vocab: int) -> Iterator[Probe]:
    """The example, and rows of our own, cut on either side."""
    some = [token % vocab for token in range(255, 275)]  # ids beyond one byte, where there are such
    rows = [some, [5], some[::-1], [], [6, 7], [*some[3:9], *some[3:9]], [9, 4, 8], [8, 9], [12, 11, 10, 11, 12]]
    # What the example may hide: rows of one id and of none, which are left out, and of two; ids that come again; rows
    # longer than the cut. An order that is neither sorted nor reversed, and an odd number of rows in batches of two:
    # the last one is short.
    plans = [Plan((7, 4, 0, 2, 1, 8, 6, 3, 5), 9, side, 2) for side in ("right", "left")]
    for rows_used, plan_used in ((whole, plan), *((rows, plan) for plan in plans)):
        yield Probe(rows_used, plan_used, pad, backend.feed(rows_used, plan_used, pad))


def unlike(first: Fed, second: Fed) -> float:
    """How many batches differ, in a bit, their shape or their dtype; the ones that only one side has too."""
    same = sum(_same(a, b) and _same(c, d) for (a, c), (b, d) in zip(first, second, strict=False))
    return float(max(len(first), len(second)) - same)


def _same(first: Array, second: Array) -> bool:
    """Whether two arrays have the same dtype, shape and elements."""
    return first.dtype == second.dtype and np.array_equal(first, second)


def _batched(rows: Rows, size: int, pad: int) -> Fed:
    """Rows as batches of (ids, targets), each (batch, time) int64, padded on the right."""
    return [(batch.ids, batch.targets) for batch in batches(rows, size, pad)]


def _paddings(probes: Sequence[Probe]) -> Iterator[Form]:
    """Padding on the other side, or with another id, in the inputs, the targets or both."""
    fix = "pad on the right: padding='post' of pad_sequences, padding_side='right' of pad_sequence"

    def on_the_left(probe: Probe) -> Fed:
        return [(_left(ids, probe.pad), _left(targets, probe.pad)) for ids, targets in probe.made()]

    yield "padding side", "pads on the left", fix, on_the_left
    # Any id that the side's batches hold may be what it pads with; with which, is seen by the batches.
    used = {int(i) for p in probes for fed in p.fed for array in fed for i in array.flat if array.ndim == 2}
    for token in sorted(used - {probes[0].pad}):
        description, fix = f"with {token}, not {probes[0].pad}", "pad with the tokenizer's pad id"
        for where, ids, targets in (("", True, True), ("inputs ", True, False), ("targets ", False, True)):

            def made(probe: Probe, token: int = token, ids: bool = ids, targets: bool = targets) -> Fed:
                clean, other = probe.made(), replace(probe, pad=token).made()
                return [(b if ids else a, d if targets else c) for (a, c), (b, d) in zip(clean, other, strict=True)]

            yield "pad id", f"pads {where}{description}", fix, made


def _left(array: Array, pad: int) -> Array:
    """Padding on the left; known by its place at the end of a row."""
    ends = [len(line) - next((i for i, token in enumerate(line[::-1]) if token != pad), 0) for line in array]
    return np.array([np.roll(line, len(line) - end) for line, end in zip(array, ends, strict=True)])


def _cuts(probes: Sequence[Probe]) -> Iterator[Form]:
    """Texts cut elsewhere: on the other side, at another length, not at all, or by their first or last id."""
    name, fix = "truncation", "cut the same side at the same length"
    other = {"left": "right", "right": "left"}
    yield name, "cuts texts on the other side", fix, lambda p: p.made(side=other[p.plan.side])
    yield name, "does not cut texts", fix, lambda p: p.made(limit=max(map(len, p.rows), default=2) + 2)
    for by in (-2, -1, 1, 2):
        description = f"cuts texts {abs(by)} id{'s' if abs(by) > 1 else ''} too {'short' if by < 0 else 'long'}"
        yield name, description, fix, partial(_cut, by)
    # The widest batch has rows of one id fewer than their texts: the last is a target alone.
    width = max((ids.shape[1] + 1 for probe in probes for ids, _ in probe.fed), default=2)
    yield name, f"cuts texts at {width} ids", fix, partial(Probe.made, limit=width)
    for side in other:
        yield name, f"always cuts texts on the {side}", fix, partial(Probe.made, side=side)
    yield name, "loses the first id of every text", fix, lambda p: p.made([row[1:] for row in p.rows])
    yield name, "loses the last id of every text", fix, lambda p: p.made([row[:-1] for row in p.rows])


def _cut(by: int, probe: Probe) -> Fed:
    return probe.made(limit=max(2, probe.plan.limit + by))


def _specials(specials: Any) -> Iterator[Form]:
    """Ids around every text: one in front, one behind, or both."""
    known = {name: [token] for name, token in specials.items() if token >= 0} | {"": []}
    for (first, before), (last, behind) in product(known.items(), known.items()):
        parts = [f"{first} {before} in front of" if first else "", f"{last} {behind} behind" if last else ""]
        description = " and ".join(filter(None, parts))
        fix = "encode on both sides alike: add_bos=, add_eos="

        def made(probe: Probe, before: list[int] = before, behind: list[int] = behind) -> Fed:
            return probe.made([[*before, *row, *behind] for row in probe.rows])

        yield "special ids", f"adds {description} every text", fix, made


def _targets() -> Iterator[Form]:
    """Targets that are not shifted, shifted twice, exchanged with the inputs, or of another dtype."""
    name, fix = "target shift", "inputs are all ids of a text but the last, targets all but the first"

    def once_more(probe: Probe) -> Fed:
        return [(ids, np.pad(t, ((0, 0), (0, 1)), constant_values=probe.pad)[:, 1:]) for ids, t in probe.made()]

    yield name, "does not shift: targets are the inputs", fix, lambda p: [(ids, ids) for ids, _ in p.made()]
    yield name, "shifts the targets once more", fix, once_more
    yield name, "has inputs and targets exchanged", fix, lambda p: [(t, ids) for ids, t in p.made()]
    for dtype in (np.int32, np.float32, np.float64):
        for what, of in (("ids", (dtype, None)), ("targets", (None, dtype)), ("ids and targets", (dtype, dtype))):
            yield "dtype", f"feeds {what} as {np.dtype(dtype)}", "have int64 on both sides", partial(_typed, *of)


def _typed(ids: Inputs, targets: Inputs, probe: Probe) -> Fed:
    """Batches whose ids and targets have other dtypes; None leaves them."""
    return [(i.astype(ids or i.dtype), t.astype(targets or t.dtype)) for i, t in probe.made()]


def _orders(probes: Sequence[Probe]) -> Iterator[Form]:
    """Rows in another order than the plan's."""
    name, fix = "row order", "shuffle once, outside, and feed both sides in that order"
    yield name, "keeps the order of the texts", fix, lambda p: p.made(order=tuple(sorted(p.plan.order)))
    yield name, "feeds the rows in reverse", fix, lambda p: p.made(order=p.plan.order[::-1])

    def by_length(probe: Probe) -> Fed:
        return probe.made(order=tuple(sorted(probe.plan.order, key=lambda place: len(probe.rows[place]))))

    yield name, "sorts the rows by length", fix, by_length
    # No rule has explained the order: what can be said is that nothing else is wrong.
    if all(Counter(map(tuple, p.found)) == Counter(map(tuple, p.kept(p.rows))) for p in probes):
        yield name, "feeds the same rows in another order", fix, _as_fed


def _as_fed(probe: Probe) -> Fed:
    """The rows that stand in the side's batches, in its order."""
    return _batched(probe.found, probe.plan.size, probe.pad)


def _rows(probes: Sequence[Probe]) -> Iterator[Form]:
    """Rows that are left out, or fed twice, by a rule."""
    name, fix = "rows lost", "keep every text of two tokens or more, once: drop_last=False, drop_remainder=False"
    short = "drops a last batch that is short"
    yield name, short, fix, lambda p: [fed for fed in p.made() if len(fed[0]) == p.plan.size]
    for least, description in ((1, "keeps texts of one token"), (3, "drops texts of two tokens")):
        yield name, description, fix, partial(Probe.made, least=least)
    doubled = "keeps texts of one token, as that token twice"
    yield name, doubled, fix, lambda p: p.made([[*r, *r] if len(r) == 1 else r for r in p.rows])
    # As above, of rows that are there once too often or too rarely, whichever they are.
    counts = [(Counter(map(tuple, p.kept(p.rows))), Counter(map(tuple, p.found))) for p in probes]
    fewer, more = any(ours - theirs for ours, theirs in counts), any(theirs - ours for ours, theirs in counts)
    if fewer and not more:
        yield name, "leaves rows out", fix, _as_fed
    if more and not fewer:
        yield name, "feeds rows that it should not, or some twice", fix, _as_fed


def _exchanged(probes: Sequence[Probe]) -> Iterator[Form]:
    """Each id always the same other one: it must hold for every place at which an id stands."""
    other: dict[int, int] = {}
    for probe in probes:
        for ours, theirs in zip(probe.kept(probe.rows), probe.found, strict=False):
            other |= {a: b for a, b in zip(ours, theirs, strict=False) if a not in other}
    moved = {a: b for a, b in other.items() if a != b}
    if moved:
        a, b = next(iter(moved.items()))
        description = f"has other ids for {len(moved)} of {len(other)} pieces: {b} for {a}"
        fix = "use one tokenizer model on both sides; compare the fingerprints"
        yield "tokenizer", description, fix, lambda p: p.made([[other.get(t, t) for t in row] for row in p.rows])
