"""What a diagnosis found, as a person reads it, by the names that a pair gives its sides.

A search knows its sides by their frameworks' names, torch first: so it says what it found. Where a pair's sides are
called otherwise, these words are exchanged for their names, once, when the search is over.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from parity.checks.results import BETWEEN, weaker
from parity.compare.judge import Verdict
from parity.compare.square import NAMES
from parity.diagnose import Diagnosis
from parity.diagnose.layers.settings import KERAS
from parity.pair.models import PairModels
from parity.pair.twins import by_order

WORD = re.compile(rf"(?<![\w./-])({'|'.join(NAMES)})(?!\w|\.\w|[/-])")  # no part of a path or of a qualified name


def named(diagnosis: Diagnosis, sides: tuple[str, str]) -> Diagnosis:
    """Replace the frameworks' names in a diagnosis's texts by the names of a pair's sides."""
    if sides == NAMES:
        return diagnosis
    names = dict(zip(NAMES, sides, strict=True))

    def said(text: str) -> str:
        return WORD.sub(lambda word: names[word[0]], text)

    causes = tuple(
        replace(cause, told=said(cause.told), fix=said(cause.fix), subject=said(cause.subject))
        for cause in diagnosis.causes
    )
    return replace(diagnosis, causes=causes, ruled_out=tuple(map(said, diagnosis.ruled_out)))


def with_computed(diagnosis: Diagnosis, computed: Mapping[str, str]) -> Diagnosis:
    """Add to each cause in a layer that computes a weight that it does: what makes it is not looked into.

    `computed` is each such variable's own name -> what computes it, of both sides.
    """
    causes = []
    for cause in diagnosis.causes:
        names = (name for name in computed if cause.where and name.rpartition(".")[0] == cause.where)
        more = "".join(f"; {name} is what {computed[name]} has computed, and is taken as it is" for name in names)
        causes.append(replace(cause, told=cause.told + more))
    return replace(diagnosis, causes=tuple(causes))


def why(corners: PairModels, diagnosis: Diagnosis, verdict: Verdict | None = None) -> tuple[str, ...]:
    """Say what `explain.diagnose` found of a check with this verdict, line by line, as a person reads it."""
    lines = [diagnosis.introduced] if diagnosis.where else []
    lines += [weaker(diagnosis.weaker)] if diagnosis.weaker else []
    lines += [_unlike(corners, path, *corners.unlike[path]) for path in diagnosis.where if path in corners.unlike]
    lines += [f"cause: {text}" for text in diagnosis.texts]
    # A limit of 0 is of bits that are compared: the figure beside it counts elements, and is no difference.
    lines += [note] if verdict and verdict.limit and (note := diagnosis.aside(verdict.figure)) else []
    if diagnosis.operations:
        lines.append(diagnosis.first)
    if unequal := corners.constants.unequal:
        lines.append(unequal)
    for link in corners.unread:
        lines.append(f"not verified: how {link.ours} and {link.theirs} hold the same numbers; custom= settles it")
    if corners.unproved:
        lines.append(f"not verified: {by_order(corners.unproved)}; links= settles it")
    if not diagnosis.causes:
        lines += [f"ruled out: {tried}" for tried in diagnosis.ruled_out]
    return (*lines, *diagnosis.unsearched)


def _unlike(corners: PairModels, path: str, ours: str, theirs: str) -> str:
    """Layers of two kinds that have the same parameters: what they compute is not the same, whatever else is."""
    one, other = corners.sides
    text = f"{path} is a {ours} in {one} and a {theirs} in {other}, with the same parameters"
    return f"{text}: {KERAS.get(ours, ours)} is what Keras calls {one}'s" if len(corners.frameworks) > 1 else text


def place(path: str) -> str:
    """A linked layer's path; the model itself has none."""
    return path or BETWEEN
