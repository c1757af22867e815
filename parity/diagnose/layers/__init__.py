"""Why a layer makes different things of equal inputs.

Each step below takes a `Segment`, in order of what costs least and is most often right, and gives causes with what it
ruled out; the first that proves one ends the search.

    settings          a hyper-parameter that differs in name and value
    jointly           the same of several layers at once, where shapes differ
    weights           parameters that are not what was drawn: uninitialized, scaled, permuted (`weight_relations`)
    functions         the same by a function of each number, or a factor of each channel
    known_layer       a layer's formula in a variant (`variants`) that reproduces what it makes
    estimates         the same where a number of the variant has to be solved for
    outputs           a factor or a constant, where no recorded operation shows it
    orders            in which order one parameter's axes or rows stand in another, and what was left in its own
    masks             what an attention may see, and how positions are counted
    conditioning      formulas that mean the same and lose float32 precision
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from parity.canonical.kind import KINDS
from parity.diagnose import Cause
from parity.diagnose.layers.conditioning import unstable
from parity.diagnose.layers.known_layer import by_the_layer, formulas
from parity.diagnose.layers.masks import masks, places, seen
from parity.diagnose.layers.outputs import outputs
from parity.diagnose.layers.settings import settings
from parity.diagnose.locate.segment import Segment
from parity.diagnose.search import apart

Step = Callable[[Segment], tuple[list[Cause], list[str]]]

LEAF: tuple[Step, ...] = (seen, settings, formulas, by_the_layer)
CONTAINER: tuple[Step, ...] = (masks, places)
RELATIONS: tuple[Step, ...] = (outputs,)  # behind them, and behind what an edit of what ran would say better


def explain(segment: Segment, whole: bool = True) -> tuple[list[Cause], list[str]]:
    """The proved causes, best first, and in words what was ruled out where none is proved.

    Unless `whole`, relations of arrays are left out.
    A cause is proved by recomputation: with it corrected, no more than `segment.limit` is left. Settings
    go before weights and weights before formulas; several causes are returned only where each is
    needed, or where this input cannot tell them apart.
    """
    with np.errstate(all="ignore"):  # what overflows is compared like all else
        return _explained(segment, whole)


def _explained(segment: Segment, whole: bool) -> tuple[list[Cause], list[str]]:
    """The causes of a segment's difference and what was ruled out, by the first step that proves one."""
    if segment.unstable:
        return unstable(segment)
    if apart(segment) <= segment.limit:
        return [], []
    segment, ruled_out = _returning(segment), []
    for step in (*(LEAF if segment.kind in KINDS else CONTAINER), *(RELATIONS if whole else ())):
        causes, tried = step(segment)
        if causes:
            return causes, []
        ruled_out += tried
    return [], ruled_out


def _returning(segment: Segment) -> Segment:
    """The segment with settings that say which output is compared, in every capture: a cell's last state, say."""
    ours, theirs = ({**side, "returned": segment.place} for side in segment.settings)
    others = segment.others
    captures = None if others is None else lambda: [_returning(of) for of in others()]
    return replace(segment, settings=(ours, theirs), others=captures)
