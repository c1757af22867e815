"""Where two sides part: which layers introduce a difference, and which only hand on what they were given.

Runs of the second side's model beside the first's float64, a call at a time (`lockstep`). In the first run both are
free. In the second, every linked layer is given what its counterpart received, and what it makes of that is exchanged
for the counterpart's: so each layer, and each piece of a model's own code between two of them, is seen alone, and two
faults at once are both named. Two more give each side's float32 error in the same way. Only where all values agree,
each layer's gradient of a random sum of its outputs is compared too.

    lockstep      two models by turns, one in a thread, which meet at each call
    hooks         what is done at each call: end-to-end, teacher-forced, captured
    captures      the same place with other weights and inputs, to prove a cause by
    gradients     layers whose outputs agree and whose gradients do not
    segment       a piece of both models that makes different things of equal inputs, as `layers` takes it
    one_side      what one model does alone: what it changes, draws or leaks
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from parity.backends.protocol import BackendModel
from parity.checks.results import Layer
from parity.compare.judge import judge_difference
from parity.compare.square import NAMES
from parity.compare.verdict import ORDER
from parity.diagnose.constants import times
from parity.diagnose.locate.gradients import Backward, amplified
from parity.diagnose.locate.hooks import CALL, NONE, FreeRunning, SegmentResult, TeacherForced, inside, relative
from parity.diagnose.locate.lockstep import together
from parity.dtypes import Inputs
from parity.errors import ERRORS, reason
from parity.pair.models import PairModels

INHERITS = "inherits"  # the word for what a link makes of other inputs than its twin's
AMPLIFIES = 10.0  # times the relative difference of its inputs: from there on a layer is said to amplify


@dataclass(frozen=True)
class LocatedLayer:
    """A linked layer in the order of calls: `free` and `alone` are its differences, end-to-end and given the same.

    `mark` is "introduces", "amplifies", "inherits" or "clean"; `calls` how often it was called.
    """

    path: str
    kind: str
    depth: int
    calls: int
    free: float
    limit: float
    alone: SegmentResult | None
    mark: str


@dataclass(frozen=True)
class Located:
    """The linked layers as a tree in order of calls, their pieces, gradients that part, and what has no twin.

    `bare` are layers whose activation Keras has in them and torch behind them. `weaker` says why a side ran in
    float32; `given` is what `call=` gives the models, where there is one; `errors` say why gradients were not
    compared.
    """

    nodes: list[LocatedLayer]
    pieces: list[SegmentResult]
    gradients: list[SegmentResult]
    unlinked: Mapping[str, Sequence[str]]
    bare: frozenset[str] = frozenset()
    weaker: str = ""
    given: Sequence[SegmentResult] = ()
    errors: tuple[str, ...] = ()
    sides: tuple[str, str] = NAMES

    @property
    def introduces(self) -> list[SegmentResult]:
        """What introduces a difference, forward and backward, in order of calls.

        Where nothing in the models does, and they differ: what call= gives them, if that differs.
        """
        pieces = [piece for piece in (*self.pieces, *self.gradients) if piece.fails]
        return pieces if pieces or self.clean else [piece for piece in self.given if piece.fails]

    @property
    def clean(self) -> bool:
        """Whether no linked layer differs, end-to-end or given the same."""
        return all(node.mark == "clean" for node in self.nodes)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The nodes as data."""
        return tuple(
            Layer(n.path, n.kind, n.depth, n.calls, n.mark, n.free, n.alone.gap.max_abs_diff, n.alone.limit)
            if n.alone
            else Layer(n.path, n.kind, n.depth, n.calls, n.mark, n.free)
            for n in self.nodes
        )


def locate(corners: PairModels, ids: Inputs, training: bool = False) -> Located:
    """Find where the loaded weights' models part on ids (batch, time), or other inputs; in training mode, if asked for.

    Where a side has no float64, by its float32 run: `Located.weaker` says why.
    """
    links, unlinked = linked(corners)
    whole = not corners.weaker

    def seen(watch: Any, bare: Collection[str], error_of: int | None = None) -> Any:
        """A watch, after the run of the second side's model, or of a side's in float32, beside the first's."""
        watch.sides = corners.sides
        leader, follower = map(corners.widest, corners.sides)
        if error_of is None:
            side_by_side(corners, follower, watch, ids, training, bare)
        elif leader.dtype == "float32":  # nothing shows an error beside it, but how often it calls
            leader.run_with_hooks(ids, links, watch, training=training)
        else:
            side_by_side(corners, corners.models[corners.sides[error_of], "float32"], watch, ids, training, bare)
        return watch

    bare, every = _bared(seen, links, whole)
    pieces = [piece for piece in every if piece.path != CALL]
    calls = [piece for piece in every if piece.path == CALL and corners.pair.call and not piece.unlike]
    free = seen(FreeRunning(), bare)
    kinds = kinds_of(corners)
    nodes = [_node(path, kinds[path], free, pieces, whole) for path in free.order]
    wrong = {piece.path for piece in pieces if piece.fails}
    backward = Backward(wrong=wrong, amplified=amplified(pieces), whole=whole)
    try:  # where values differ, gradients do for that, if for nothing else
        if not any(piece.word == "different" for piece in pieces):
            seen(backward, bare)
    except ERRORS as error:  # what was found forward stands
        backward.errors[""] = reason(error)
    gradients = list(backward.deepest())
    marked = {piece.path for piece in gradients}
    nodes = [replace(node, mark="introduces") if node.path in marked else node for node in nodes]
    errors = tuple(f"gradients {f'of {path} ' if path else ''}not compared: {e}" for path, e in backward.errors.items())
    return Located(nodes, pieces, gradients, unlinked, bare, corners.reason, calls, errors, corners.sides)


def side_by_side(
    corners: PairModels,
    follower: BackendModel,
    watch: Any,
    ids: Inputs,
    training: bool = False,
    bare: Collection[str] = frozenset(),
) -> None:
    """Run a model beside the first side's widest one, call by call, under a watch; `bare` as `Located` has it."""
    links = linked(corners)[0]
    leader = partial(corners.widest(corners.sides[0]).run_with_hooks, ids, links, training=training)
    with corners.alternating():
        together(leader, partial(follower.run_with_hooks, ids, links, training=training, bare=bare), watch)


def linked(corners: PairModels) -> tuple[list[str], dict[str, list[str]]]:
    """The paths that both sides have, and those that one side has alone and that hold no link."""
    ours, theirs = (corners.models[side, "float32"].named_modules() for side in corners.sides)
    links = [path for path in ours if path in theirs]
    alone = {
        side: [path for path in of if path not in links and not any(link.startswith(f"{path}.") for link in links)]
        for side, of in zip(corners.sides, (ours, theirs), strict=True)
    }
    paths = [link.ours for link in corners.links], [link.theirs for link in corners.links]
    for side, own in zip(corners.sides, paths, strict=True):  # what a known layer is made of is its own affair
        whole = tuple(f"{path}." for path in own)
        alone[side] = [path for path in alone[side] if not path.startswith(whole)]
    return links, alone


def _bared(seen: Callable[..., Any], links: Sequence[str], whole: bool) -> tuple[frozenset[str], list[SegmentResult]]:
    """Find the layers whose activation torch has behind them; return them, and the pieces of runs that count it so.

    `seen` runs both models under a watch. A layer is `bare` where fewer pieces fail or inherit then, in the layer and
    in the code of the one that holds it.
    """
    pieces, fused = _pieces(seen, frozenset(), whole)
    failing = _parting(pieces)
    tried = frozenset(path for path in fused if failing[path])
    if not tried:
        return tried, pieces
    other, _ = _pieces(seen, tried, whole)
    still = _parting(other)
    around = {path: (path, _holder(path, links)) for path in tried}
    bare = frozenset(
        path for path in tried if sum(still[p] for p in around[path]) < sum(failing[p] for p in around[path])
    )
    if bare != tried:
        other, _ = _pieces(seen, bare, whole)
    return bare, other


def _parting(pieces: Sequence[SegmentResult]) -> Counter[str]:
    """How many pieces of each link differ, or were made of what did: nobody knows then what the link does."""
    return Counter(piece.path for piece in pieces if piece.fails or piece.word == INHERITS)


def _pieces(seen: Callable[..., Any], bare: frozenset[str], whole: bool) -> tuple[list[SegmentResult], set[str]]:
    """Judge what each piece of both models makes of equal inputs, by each side's own float32 noise.

    Returns the pieces, and the layers that have an activation in the follower alone. Takes three runs: float64 beside
    float64, and each side's float32 beside the leader.
    """
    meaning, *noise = (seen(TeacherForced(), bare, error_of) for error_of in (None, 0, 1))
    pieces = [_judged(piece, noise, whole) for piece in meaning.found.values()]
    counts = {fails: {p.path for p in pieces if p.what == "output" and p.fails == fails} for fails in (True, False)}
    pieces = [piece for piece in pieces if not _padded(piece, counts[False] - counts[True])]
    pieces = [piece for piece in pieces if not _compensated(piece, pieces)]
    pieces = [piece if piece.lent or not piece.fails else replace(piece, word=INHERITS) for piece in pieces]
    return pieces + list(_called(meaning.sides, noise[0].calls, meaning.calls)), meaning.fused


def _padded(piece: SegmentResult, alike: Collection[str]) -> bool:
    """Whether inputs are unlike, but what is made of them is alike: one side pads in the layer, one before it."""
    name = f"{piece.path}.{piece.of}" if piece.path else piece.of
    return bool(piece.unlike) and piece.what == "input" and name in alike


def _compensated(piece: SegmentResult, pieces: Sequence[SegmentResult]) -> bool:
    """Whether outputs are unlike, but the code behind makes the same of them: a last state, and states by direction."""
    if not piece.unlike or piece.what != "output" or not piece.path:
        return False
    around = _holder(piece.path, [other.path for other in pieces])
    behind = [other for other in pieces if other.path == around and not other.lent]
    return bool(behind) and not any(other.fails for other in behind)


def _holder(path: str, links: Sequence[str]) -> str:
    """The link around another."""
    return max((link for link in links if link != path and inside(path, link)), key=len, default="")


def kinds_of(corners: PairModels) -> dict[str, str]:
    """Path -> a link's kind, or the first side's class of one that holds others."""
    leader = corners.widest(corners.sides[0])
    own = {layer.path: layer.kind for layer in leader.layers}
    return {**leader.named_modules(), **own}


def _called(sides: tuple[str, str], ours: Mapping[str, int], theirs: Mapping[str, int]) -> Iterator[SegmentResult]:
    """Links that the sides do not call equally often."""
    for path in {**ours, **theirs}:
        counts = ours.get(path, 0), theirs.get(path, 0)
        if counts[0] != counts[1]:
            description = f"{sides[0]} calls it {times(counts[0])}, {sides[1]} {times(counts[1])}"
            parent, _, name = path.rpartition(".")
            yield SegmentResult(parent, f"calls of {name}", NONE, "different", unlike=description)


def _judged(piece: SegmentResult, noise: Sequence[TeacherForced], whole: bool) -> SegmentResult:
    """A piece with its verdict: the float64 difference against what its float32 noise accounts for."""
    if piece.unlike:
        return replace(piece, word="different")
    at = piece.path, piece.place  # which a run in another precision may have paired with something else
    errors = [of.found[at].gap.max_abs_diff if at in of.found else 0.0 for of in noise]
    word, limit = judge_difference(piece.gap, (errors[0], errors[1]), whole=whole)
    return replace(piece, word=word, limit=limit, noise=(errors[0], errors[1]), whole=whole)


def _node(path: str, kind: str, free: FreeRunning, pieces: Sequence[SegmentResult], whole: bool) -> LocatedLayer:
    """A layer of the tree: what differs end-to-end, what it introduces alone, and the limit."""
    own = [piece for piece in pieces if piece.path == path]
    judged = [piece for piece in own if piece.word != INHERITS]

    def severity(piece: SegmentResult) -> tuple[int, float, float]:
        return ORDER.index(piece.word), piece.gap.max_abs_diff / (piece.limit or 1.0), piece.limit

    alone = max(judged, key=severity, default=None)
    before, after = (
        max(free.found.get((path, what), [NONE]), key=lambda g: g.max_abs_diff)
        for what in ("before_call", "after_call")
    )
    word, limit = judge_difference(after, (0.0, 0.0) if alone is None else alone.noise, whole=whole)
    mark = "inherits" if word == "different" else "clean"
    if mark == "inherits" and before.max_abs_diff and relative(after) > AMPLIFIES * relative(before):
        mark = "amplifies"
    if any(piece.word == INHERITS for piece in own):
        mark = "inherits"
    if any(piece.fails for piece in own):
        mark = "introduces"
    return LocatedLayer(path, kind, free.depths[path], free.calls[path], after.max_abs_diff, limit, alone, mark)
