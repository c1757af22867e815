"""Why a stream differs: what a side's `advance` gives, beside the model run over what it was meant to have seen.

A fault is proved if, fed one by one behind a prompt, the ids give the logits of a run of the model
over other ids or with other numbers, at every step, in the failing example and in texts of our own.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import chain, islice
from typing import Any

import numpy as np
import optree

from parity.backends.operations import Edit, Editable
from parity.backends.protocol import BackendModel
from parity.compare.judge import Verdict
from parity.diagnose import Cause
from parity.diagnose.operators.proposal import constant
from parity.diagnose.search import Candidate, Explained, Probe, differing, proved
from parity.dtypes import Array, State, round_to
from parity.pair import decoding
from parity.pair.models import PairModels

WHERE = "generation"
TRIED = (
    "the state lost or a part of it, the prompt lost, a state that stands still or is kept from the text before or is "
    "rounded, ids fed twice, positions counted otherwise, logits of another position, a constant factor"
)
# How positions behind a prompt of so many ids may be counted otherwise, of so many ids in all.
COUNTED: dict[str, Callable[[int, int], list[int]]] = {
    "from 0 in each call": lambda prompt, every: [*range(prompt), *[0] * (every - prompt)],
    "one too high behind the prompt": lambda prompt, every: [*range(prompt), *range(prompt + 1, every + 1)],
    "one too low behind the prompt": lambda prompt, every: [*range(prompt), *range(prompt - 1, every - 1)],
    "as the first behind the prompt in each call": lambda prompt, every: [*range(prompt), *[prompt] * (every - prompt)],
}
# A prompt and what follows; the first is fed alone, and then the others one by one.
Change = Callable[[int, Any], Any]  # of a part of the state, by which it is
TEXTS = (((5, 6, 7, 8), (9, 10, 11)), ((12, 5, 12), (7, 6)))


@dataclass(frozen=True, eq=False)
class Given:
    """A prompt, the ids that follow, what was fed in the text before; `run` is a model: ids -> logits (time, vocab)."""

    prompt: tuple[int, ...]
    said: tuple[int, ...]
    before: tuple[int, ...]
    run: Callable[[Sequence[int]], Array]

    def last(self, seen: Callable[[int], Sequence[int]]) -> Array:
        """The logits behind the last of what is `seen` at each step: (steps, vocab)."""
        return np.array([self.run(seen(step))[-1] for step in range(len(self.said) + 1)])

    def text(self, step: int) -> tuple[int, ...]:
        """The prompt and the ids that were generated before this step, 0 being the prompt's own."""
        return (*self.prompt, *self.said[:step])


def explain(corners: PairModels, example: Any, verdict: Verdict) -> Explained:
    """The causes that are proved, and what was ruled out. `example` is that of the check of generation."""
    causes, ruled = list[Cause](), list[str]()
    runs = ((side, corners.models.get((side, "float64"))) for side in corners.sides)
    models = {side: model for side, model in runs if model is not None and model.can_stream()}
    if len(models) < len(corners.sides):
        return [], ["a side has no float64 run, or no stream: nothing can be recomputed"]
    for side, model in models.items():
        of = list(_probes(corners, model, example))
        probes, states = zip(*(_probe(model, one) for one in of), strict=True)
        if differing(probes) is None:
            ruled.append(f"{side}'s stream is its model")
            continue
        [other] = (twin for of_side, twin in models.items() if of_side != side)
        candidates = chain(_seen(probes, of), _counted(corners, of), _carried(other, of, states))
        proofs = list(islice(proved(WHERE, side, probes, candidates), 1))
        causes += proofs
        if not proofs:
            ruled.append(f"{side}: {verdict.subject} is explained by none of {TRIED}")
    return causes, ruled


def _probes(corners: PairModels, model: BackendModel, example: Any) -> Iterator[Given]:
    def run(ids: Sequence[int]) -> Array:
        logits: Array = model.logits(np.array([ids], np.int64))[0]
        return logits

    corners.ensure(example.weights)
    said = decoding.again(model, example.prompt, example.tokens)
    for prompt, following in (*TEXTS, (example.prompt, tuple(said[:-1]))):
        yield Given(prompt, following, TEXTS[0][0], run)


def _probe(model: BackendModel, one: Given) -> tuple[Probe, Array]:
    """The stream's logits (steps, vocab) beside those of whole runs, and a stream that goes on from the text before.

    A step is the prompt, and then each id: the logits behind the last that was fed.
    """
    _, state = model.advance(np.array([one.before], np.int64), None)
    logits, clean = _streamed(model, one, None), one.last(one.text)
    return Probe(logits, clean, float(np.abs(clean).max())), _streamed(model, one, state)


def _streamed(model: BackendModel, one: Given, state: State, change: Change | None = None) -> Array:
    """The logits of each step, (steps, vocab); each part of the state passes through `change` from step to step."""
    steps, fed = [], one.prompt
    for token in (*one.said, 0):  # behind the last step nothing is fed: the 0 is never seen
        logits, state = model.advance(np.array([fed], np.int64), state)
        steps.append(logits[0, -1])
        fed, state = (token,), mapped(state, change) if change else state
    return np.array(steps)


def _seen(probes: Sequence[Probe], of: Sequence[Given]) -> Iterator[Candidate[Array]]:
    """Candidates by which the model has seen something else than the text."""

    def form(name: str, description: str, fix: str, seen: Callable[[Given, int], Sequence[int]]) -> Candidate[Array]:
        return Candidate(name, description, fix, (one.last(partial(seen, one)) for one in of))

    carry = "hand the whole state that advance returned to its next call"
    lost = "forgets everything from step to step"
    yield form("state dropped", lost, carry, lambda one, n: one.said[n - 1 : n] if n else one.prompt)
    prompt = "forgets the prompt but for its last id"
    yield form("state dropped", prompt, carry, lambda one, n: (*one.prompt[-1:], *one.said[:n]))
    still = "goes on from the state after the prompt at every step"
    yield form("state dropped", still, carry, lambda one, n: (*one.prompt, *one.said[:n][-1:]))
    once = "feed each id once"
    twice = "feeds each id after the prompt twice"
    yield form("time shift", twice, once, lambda one, n: (*one.prompt, *np.repeat(one.said[:n], 2)))
    yield form("time shift", "feeds the prompt twice", once, lambda one, n: (*one.prompt, *one.text(n)))
    behind, take = "takes the logits after the first id of a prompt", "take the logits after the last id"
    yield form("time shift", behind, take, lambda one, n: one.text(n) if n else one.prompt[:1])
    late = "takes the logits of a step before"
    yield form("time shift", late, take, lambda one, n: one.text(n)[:-1] or one.prompt[:1])
    worst = differing(probes)
    if worst is not None:
        factor = float((worst.found * worst.clean).sum() / (worst.clean**2).sum())
        description = f"multiplies its logits by {factor:.6g}"
        yield Candidate(
            "scale", description, "leave the logits of a stream as they are", [factor * p.clean for p in probes]
        )


def _counted(corners: PairModels, of: Sequence[Given]) -> Iterator[Candidate[Array]]:
    """Candidates by which positions are counted otherwise in a run over the whole text, wherever it counts them."""
    first = corners.sides[0]
    if not corners.backends[first].EDITABLE:
        return
    model = corners.models[first, "float64"]
    texts = [one.text(len(one.said)) for one in of]
    runs: list[Editable] = [model.record(np.array([text], np.int64)) for text in texts]
    spots = [_counting(run, len(text)) for run, text in zip(runs, texts, strict=True)]
    fix = "count the positions of what is new from the number of ids that were fed before"
    for (description, count), which in itertools.product(COUNTED.items(), range(min(map(len, spots)))):
        counts = [count(len(one.prompt), len(text)) for one, text in zip(of, texts, strict=True)]
        edits = [constant(*spot[which], np.array(number)) for spot, number in zip(spots, counts, strict=True)]
        streams = (_streaming(*one) for one in zip(runs, edits, of, strict=True))
        yield Candidate("positions", f"counts positions {description}", fix, streams)


def _counting(run: Editable, length: int) -> list[tuple[int, int | None]]:
    """Where a run has 0, 1, 2, ... to its text's length: numbers of operations, and leaves of theirs or None."""
    counts = [
        place
        for place, value in enumerate(run.trace.values)
        if value.array is not None and np.array_equal(value.array.ravel(), np.arange(length))
    ]
    spots = list[tuple[int, int | None]]()
    for number, one in enumerate(run.trace.operations):
        spots += [(number, None) for place in one.makes if place in counts]
        spots += [(number, leaf) for leaf, of in enumerate(run.leaves(number)) if of.place in counts]
    return spots


def _streaming(run: Editable, edit: Edit, one: Given) -> Array:
    """The logits behind the prompt and each id after it, (steps, vocab), in an edited run over the whole text."""
    trace = run.again([edit])
    [output] = [trace.values[place].array for place in trace.outputs.values()]
    return np.empty(0) if output is None else output[0, len(one.prompt) - 1 :]


def _carried(other: BackendModel, of: Sequence[Given], states: Sequence[Array]) -> Iterator[Candidate[Array]]:
    """Candidates of the state: kept from the text before, or the other side's stream with a part lost or rounded.

    The other side's, since this side's own may have the fault.
    """
    fix = "begin each text with the state None"
    yield Candidate("state kept", "goes on from the state of the text before", fix, states)
    # A state to count the parts of: how it is nested is the model's own.
    _, state = other.advance(np.array([[5, 6]], np.int64), None)
    parts = [part for part in optree.tree_leaves(state) if hasattr(part, "shape")]
    changes: dict[str, Change] = {
        f"loses part {place + 1} of {len(parts)} of the state": partial(_lost, place) for place in range(len(parts))
    }
    for dtype in ("float32", "float16", "bfloat16"):
        changes[f"carries the state in {dtype}"] = partial(_through, (dtype,))
    for dtype in ("float16", "bfloat16"):  # torch goes there by way of float32, which rounds some numbers otherwise
        changes[f"carries the state in {dtype}, rounded to float32 first"] = partial(_through, ("float32", dtype))
    if all(len(part.shape) == 4 for part in parts):  # keys and values, (batch, heads, time, width)
        changes["loses the first position of the keys and values"] = lambda _, part: part[:, :, 1:]
    fix = "hand the whole state that advance returned to its next call, as it is"
    for description, change in changes.items():
        streamed = partial(_streamed, other, state=None, change=change)
        yield Candidate("state dropped", description, fix, map(streamed, of))


def _lost(place: int, which: int, part: Any) -> Any:
    """The part of a state with number `which`: zeros, if that is the one at `place`."""
    return part * 0 if which == place else part


def mapped(state: State, change: Change) -> Any:
    """A nesting of tuples and lists, each array of it through `change(which, array)`."""
    count = itertools.count()
    return optree.tree_map(lambda part: change(next(count), part) if hasattr(part, "shape") else part, state)


def _through(dtypes: Sequence[str], _: int, part: Any) -> Any:
    """An array of a framework, rounded to one dtype after another and back."""
    rounded = reduce(round_to, dtypes, np.asarray(part))
    return part.new_tensor(rounded) if hasattr(part, "new_tensor") else part * 0 + rounded
