"""Where two models part, down to the operation and the line, and why, by editing what torch ran.

Both models run once on one example, every value that each operation makes is kept, and values are matched by the
numbers that they hold. What stands where the first ones have no counterpart is the place. torch's run is then run again
with one change to an operation there, or before it; the change after which the outputs are TensorFlow's, with other
weights and inputs too, is the cause.

    align         which values of two runs hold the same numbers; the first operations that make others of them
    table         both runs side by side, for `parity locate --operators`, and the first of a deployed file's nodes
    search        edits of the run, the plainest first, until nothing of the difference is left
    likeness      of edits that all close the difference, after which the run is most like TensorFlow's
    examples      the runs on several examples, on all of which a cause has to hold
    families      the families of edits by level: what is tried of which operations
    proposal      an edit, and what is said of it where it is proved
    arguments, operands, orders, rewrites, formulas, windows, paddings, positions, rows, masks, moves, repeats, others
                  families of edits
    ranges        the same function on both sides, of which one leaves the range of numbers: a family, too
    attention     the same of an attention of own code, and what edits are called there
    backward      the same of gradients, from the loss back; `pulls`: changes to a gradient
    names         what a cause is called; `walks`: over a run

A family is a function from a `Spot` (an operation that may be edited) to proposals. To add one: write it in the file of
its kind, and name it in `families`, among those of its level; nothing else has to know.
"""

from dataclasses import replace

from parity.backends import BACKENDS
from parity.backends.operations import Operation
from parity.backends.protocol import Traceable
from parity.canonical.weights import Weights
from parity.checks.results import Cause, DifferingOperation, OperationPair
from parity.diagnose.layers.functions import owner
from parity.diagnose.operators import search
from parity.diagnose.operators.align import Alignment
from parity.diagnose.operators.examples import Examples as Examples
from parity.diagnose.operators.examples import recorded
from parity.diagnose.operators.names import ORDERS
from parity.diagnose.operators.proposal import Proposal, Spot, cited, once
from parity.diagnose.operators.search import Runs
from parity.diagnose.operators.table import differing, placed, table
from parity.dtypes import Inputs
from parity.pair.models import PairModels
from parity.pair.roles import Role

BASES = 2  # examples on which edits are looked for
PLAIN = 2  # edits that are taken where no single one explains as much, without a look for others


def exchanged(examples: Examples) -> list[Cause]:
    """Causes where no edit is one: two operations whose results, exchanged, leave nothing of the difference.

    Of losses that agree as they were recorded: that they do so in a graph alone (`_outside_a_graph`).
    """
    if examples.loss and not any(map(examples.differs_in_a_graph, range(len(examples.given)))):
        return _outside_a_graph(examples)
    if uneditable(examples.corners) or examples.corners.pair.own_weights:  # of other parameters it makes something else
        return []
    return _proved(examples, 0, "", exchange=True, alone=True)


def _outside_a_graph(examples: Examples) -> list[Cause]:
    """Keras takes a loss's logits from behind a sigmoid or softmax where it has a graph, and cannot outside of one.

    The losses were recorded in one: what they are apart there is left.
    """
    graph = examples.runs(0)
    behind = [one for one in graph.other.trace.operations if one.name in ("Sigmoid", "Softmax")]
    if not behind:
        return []
    claim = (
        f"run eagerly, tensorflow's loss takes what {cited(behind[-1])} makes for logits (from_logits=True); in a "
        "graph Keras takes what that is given, and the losses are equal"
    )
    fix = "hand the loss the logits, or say from_logits=False"
    return [Cause("from_logits", "", claim, fix, examples.eagerly(0), graph.alignment.gap)]


def causes(examples: Examples) -> list[Cause]:
    """The edits of torch's run on the first of these examples that leave nothing of the difference on any.

    Where the first do not show it, the next ones; then those of a run whose operations that do several things at once
    are taken apart. With other `settings` of torch's layers, what these do not explain.
    """
    masked = _masks(examples)
    if masked:
        return masked
    if uneditable(examples.corners):
        return []
    shown = [number for number in range(len(examples.given)) if examples.differs(number)][:BASES]
    # First only what helps at once, in both forms of the run: most causes are one edit, and a whole search takes many
    # times as long.
    for quick in (True, False):
        for form in ("", "unfused"):
            for base in shown[:1] if quick or form else shown:
                causes = _of_form(examples, base, form, quick, base == shown[0])
                if len(causes) > 1 and quick:  # two edits can be one by a symmetry: a single one may show at the end
                    causes = _proved(examples, base, form, quick=True, alone=True) or causes
                if causes and (len(causes) <= PLAIN or not quick):
                    return causes
    return []


def _of_form(examples: Examples, base: int, form: str, quick: bool, first: bool) -> list[Cause]:
    """The causes in one form of the run: looked for blind to the order of elements, then not; the plainer of both."""
    blind = _proved(examples, base, form, quick=quick)
    if len(blind) == 1 and blind[0].name not in ORDERS:
        return blind
    strict = _proved(examples, base, form, strict=True, makers=len(blind) == 1, quick=quick) if first else []
    return _plainer(blind, strict) if blind or strict else []


def uneditable(corners: PairModels) -> str:
    """Why no edit of an operation is tried, if none is."""
    side = corners.sides[0]
    reason = (
        f"a run of {corners.backends[side].NAME} cannot be edited, so no change to an operation of {side} was tried"
    )
    return "" if corners.backends[side].EDITABLE else reason


def _plainer(blind: list[Cause], strict: list[Cause]) -> list[Cause]:
    """Of the causes found blind to order and of those found not so: the fewer.

    Where both are one and the blind one is an order: what makes that order, told with it, rather than the order.
    """
    if not (blind and strict) or len(blind) != len(strict) or len(blind) > 1 or blind[0].name not in ORDERS:
        return min((of for of in (blind, strict) if of), key=len)
    [order], [maker] = blind, strict
    if (maker.name, maker.fix) == (order.name, order.fix):
        return [order]
    name = order.name if maker.name in (*ORDERS, "extra operation") else maker.name
    return [replace(maker, name=name, told=f"{maker.told}; {order.told}", fix=f"{maker.fix}; or {order.fix}")]


def _proved(
    examples: Examples,
    base: int,
    form: str,
    strict: bool = False,
    exchange: bool = False,
    makers: bool = False,
    quick: bool = False,
    alone: bool = False,
) -> list[Cause]:
    """The causes of the first edits that leave nothing of the difference on example `base`, nor on any other.

    `strict` compares values in their order, `makers` looks for what makes an order, `exchange` for exchanged results,
    `quick` only for edits that gain something at once, and `alone` for one edit.
    """
    # The same recorded runs, read in another way: recording takes most of the time.
    runs = replace(examples.runs(base, form), strict=strict, makers=makers, work=examples.work)
    if runs.alignment.gap <= runs.alignment.limit:
        return []
    for chosen in search.closing(runs, exchange, quick, alone):
        if examples.closed(chosen, base, form):
            chosen = examples.needed(chosen, base, form)  # one behind takes others' in
            examples.runs(base, form)
            needed = [proposal for proposal in chosen if not _reading(examples.corners, runs, proposal)] or chosen
            return once([search.cause(proposal, runs, chosen) for proposal in needed])
        examples.runs(base, form)  # the run holds the model's own parameters
    return []


def _reading(corners: PairModels, runs: Runs, proposal: Proposal) -> bool:
    """Whether an edit leaves out no more than how a parameter is turned, of which no run says how both sides hold it.

    By links that read it the other way round both sides do the same: it is no cause beside one that is needed.
    """
    shapes = {
        shape for link in corners.unread for name, (_, shape) in corners.layout.items() if owner(name) == link.ours
    }
    run = runs.run
    spots = [Spot(run, edit.operation, runs.alignment, ()) for edit in proposal.made(runs.other.trace)]
    taken = [run.trace.values[place] for spot in spots if spot.reorders for place in spot.operation.operands]
    leaves = [of for of in taken if of.leaf and not of.leaf.startswith(("constant", "input"))]
    return 0 < len(leaves) == len(spots) and all(of.shape in shapes for of in leaves)


def _masks(examples: Examples) -> list[Cause]:
    """Keras hands on a mask that torch does not have: without it nothing is left."""
    masks, before, after = dict[str, bool](), 0.0, 0.0
    for number in range(len(examples.given)):
        run = examples.runs(number)
        masks = run.other.trace.masks
        if not masks or run.run.trace.masks:
            return []
        before = max(before, run.alignment.gap)
        without = examples.runs(number, "unmasked").alignment
        if without.gap > without.limit:
            return []
        after = max(after, without.gap)
    sources = [layer for layer, first in masks.items() if first]
    masked = [layer for layer, first in masks.items() if not first]
    if sources:
        description = f"tensorflow skips what {', '.join(sources)} masks in {', '.join(masked)}; torch reads it"
        fix = f"mask_zero=False in {', '.join(sources)}, or pack_padded_sequence in torch"
        return [Cause("mask of the inputs", sources[0], description, fix, before, after)]
    description = f"tensorflow's {', '.join(masked)} is given a mask and skips what it hides; torch reads it"
    fix = f"hide the same in torch (pack_padded_sequence for a recurrence), or give {', '.join(masked)} no mask"
    return [Cause("mask missing", masked[0], description, fix, before, after)]


def operations(examples: Examples, number: int = 0) -> list[DifferingOperation]:
    """Of each side, on one of these examples, the first operations that make something else of what both have: a few,
    each at its own place.
    """
    corners = examples.corners
    runs = examples.runs(number, _form(corners))
    alignment = runs.alignment
    if not any(alignment.parted) and alignment.gap > alignment.limit:  # all numbers are there, in another order
        alignment = replace(runs, strict=True).alignment
    sides = enumerate(corners.pair.roles.items())
    return [of for at, (side, role) in sides for of in differing(side, _first(runs, alignment, at, role))]


def side_by_side(corners: PairModels, weights: Weights, inputs: Inputs) -> list[OperationPair]:
    """Both runs on these inputs, operation by operation."""
    runs = recorded(corners, weights, inputs, form=_form(corners))
    alignment, roles = runs.alignment, [*corners.pair.roles.values()]
    first = [_first(runs, alignment, place, role) for place, role in enumerate(roles)]
    return table(alignment, {id(one) for of in first for one in of}, [*map(_filed, roles)])


def _first(runs: Runs, alignment: Alignment, place: int, role: Role) -> tuple[Operation, ...]:
    """The first operations of a side that make something else of what both have."""
    return placed(runs, alignment, place) if _filed(role) else alignment.shown[place]


def _filed(role: Role) -> bool:
    """Whether a side is a file, whose operations are the nodes of a graph."""
    return Traceable not in BACKENDS[role.backend].offers


def _form(corners: PairModels) -> str:
    """The form in which runs are put beside each other: a graph's nodes are what a function is made of."""
    return "unfused" if corners.pair.lacking((Traceable,)) else ""
