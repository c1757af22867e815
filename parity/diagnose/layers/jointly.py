"""Settings of several layers that differ at once, where a layer's outputs have other shapes on the two sides.

What stands behind such a layer cannot be given the same arrays on both sides, as where a stride is in one convolution
here and in the next there. So all settings that differ are made equal at once, in a run of the whole model.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice
from typing import Any

import numpy as np

from parity.backends.hooks import Call, Settings
from parity.canonical.weights import Weights
from parity.diagnose import Cause
from parity.diagnose.constants import told
from parity.diagnose.layers.settings import caused, differing
from parity.diagnose.locate import Located, kinds_of, linked
from parity.diagnose.locate.captures import Others
from parity.diagnose.locate.segment import Segment
from parity.diagnose.search import outputs_apart
from parity.dtypes import Array, Inputs
from parity.errors import ERRORS
from parity.pair.link_table import settings_of
from parity.pair.models import PairModels

MANY = 64  # choices of settings that are tried: of six, all
Example = tuple[Weights | None, Any]  # the weights to load, unless they are there, and inputs
Groups = Mapping[tuple[str, str], Sequence[Segment]]  # a setting's name and both values -> the links that have these


@dataclass
class _Corrected:
    """Each call of a link that has other settings gives what the layer makes with these."""

    values: Settings

    def before_call(self, path: str, inputs: list[Array]) -> None:
        """Leave the inputs as they are."""

    def after_call(self, call: Call) -> list[Array] | None:
        values = self.values.get(call.path)
        return call.again(values, {}) if values else None


def jointly(corners: PairModels, ids: Inputs, located: Located, others: Others) -> list[Cause]:
    """Explain outputs of other shapes by the settings of all layers: made equal at once, nothing differs any more.

    Here and on `others`, inputs and weights that were not used to find it. The fewest settings that do are the causes,
    each of one layer, or the same of several. Empty where no layer's shapes differ, or where something else does, too.
    """
    if corners.weaker or not any(piece.fails and piece.unlike for piece in located.pieces):
        return []
    segments = _differing(corners, ids)
    groups: dict[tuple[str, str], list[Segment]] = {}
    for segment in segments:
        for name in differing(segment):
            groups.setdefault((name, repr([side[name] for side in segment.settings])), []).append(segment)
    loaded, examples = corners.loaded, [(corners.loaded, ids), *others()]
    try:
        # The second side first: the fix is told for it.
        for place in (1, 0) if groups and len(examples) > 1 else ():
            if causes := _by_side(corners, examples, groups, place):
                return causes
        return []
    finally:
        if loaded is not None:
            corners.ensure(loaded)


def settled(corners: PairModels, ids: Inputs, causes: Sequence[Cause]) -> Settings:
    """The settings that causes name, by the paths of their layers, as the second side has them."""
    named, values = {(cause.name, cause.where) for cause in causes}, dict[str, dict[str, Any]]()
    for segment in _differing(corners, ids) if named else ():
        for name in differing(segment):
            if (caused(segment, name, 0.0, 0.0).name, segment.path) in named:
                values.setdefault(segment.path, {})[name] = segment.settings[1][name]
    return values


def _by_side(corners: PairModels, examples: Sequence[Example], groups: Groups, place: int) -> list[Cause]:
    """The fewest settings by which a side with the other's makes what the other does; none where none are enough."""
    after = _apart(corners, examples, groups, place)
    if after is None or not _same(after):
        return []
    for few in islice(_fewer_first(groups), MANY):
        after = _apart(corners, examples, few, place)
        if after is None or not _same(after):
            continue
        causes = []
        for key, group in few.items():
            without = _apart(corners, examples[:1], {other: of for other, of in few.items() if other != key}, place)
            without = without or _apart(corners, examples[:1], {}, place)  # a model changed in part may not run
            figures = (without[0][0] if without else np.inf), after[0][0]  # on the example that failed
            causes += [_cause(segment, key[0], figures, place) for segment in group]
        return causes
    return []


def _fewer_first(groups: Groups) -> Iterator[Groups]:
    """Each choice of some of the groups, those of one before those of two."""
    for number in range(1, len(groups) + 1):
        for keys in combinations(groups, number):
            yield {key: groups[key] for key in keys}


def _cause(segment: Segment, name: str, figures: tuple[float, float], place: int) -> Cause:
    """A setting of one layer, with the side to change at which that was proved."""
    cause = caused(segment, name, *figures)
    fix = f"{name}={told(segment.settings[1][name])} in {segment.sides[0]}'s {segment.path}"
    return cause if place else replace(cause, fix=fix)


def _differing(corners: PairModels, ids: Inputs) -> list[Segment]:
    """The links whose settings differ, as segments without arrays, in order of calls."""
    ours, theirs = (settings_of(corners.widest(side), ids) for side in corners.sides)
    kinds, nothing = kinds_of(corners), np.empty(0)
    every = [
        Segment(path, kinds[path], "output", {}, (nothing, nothing), 0.0, settings=both, sides=corners.sides)
        for path, both in ((path, (of, theirs[path])) for path, of in ours.items() if path in theirs)
    ]
    return [segment for segment in every if differing(segment)]


def _apart(
    corners: PairModels, examples: Sequence[Example], groups: Groups, place: int
) -> list[tuple[float, float]] | None:
    """How far the outputs are apart on each example, and what rounding accounts for, with a side's settings changed.

    Those of `groups` are the other side's. To the first example on which they differ; None where a layer cannot have
    these, or the models cannot run so.
    """
    values: dict[str, dict[str, Any]] = {}
    for (name, _), group in groups.items():
        for segment in group:
            values.setdefault(segment.path, {})[name] = segment.settings[1 - place][name]
    gaps, links = [], linked(corners)[0]
    changed, other = (corners.widest(corners.sides[at]) for at in (place, 1 - place))
    try:
        for weights, inputs in examples:
            if weights is not None:
                corners.ensure(weights)
            outputs = other.outputs(inputs, eager=True), changed.run_with_hooks(inputs, links, _Corrected(values))
            gaps.append(outputs_apart(*outputs))
            if not _same(gaps):  # one example is enough to say so
                break
    except ERRORS:  # a model that is changed in part may not fit together
        return None
    return gaps


def _same(gaps: Sequence[tuple[float, float]]) -> bool:
    """Whether no more than rounding is left on any example; a NaN is more."""
    return all(gap <= limit for gap, limit in gaps)
