"""Why a model's own code differs: the expression that gives what each side made, and how the two differ."""

from itertools import product

from parity.canonical.activations import written
from parity.diagnose import Cause
from parity.diagnose.constants import fits
from parity.diagnose.gaps import apart
from parity.diagnose.layers.linear_fit import Sum, independent, sums
from parity.diagnose.layers.terms import Term, normalised
from parity.diagnose.locate.segment import Segment

FUNCTIONAL = ("activation", "slope", "softmax axis")  # the fix is the function as a user writes it


def code(segment: Segment) -> tuple[list[Cause], list[str]]:
    """Explain a model's own code: each side as a sum of what it was given, whose unshared terms are the cause.

    Of several sums that reproduce a side, the two that have most in common are compared.
    """
    ours, theirs = sums(segment, 0), sums(segment, 1)
    if not ours or not theirs:
        return [], [_unknown(segment, ours, theirs)]
    pairs = sorted(product(ours, theirs), key=lambda pair: _distance(*pair))
    least = _distance(*pairs[0])
    causes = [cause for pair in pairs if _distance(*pair) == least for cause in _causes(segment, *pair)]
    return list({cause.name: cause for cause in reversed(causes)}.values())[::-1], []


def _unknown(segment: Segment, ours: list[Sum], theirs: list[Sum]) -> str:
    """What was tried of code that no sum of terms reproduces, in words."""
    names = ", ".join(segment.given)
    tried = f"no sum of {names} with factors, one of them through a known function or moved in time"
    if not fits(segment.found[0] * 1.0, 2):
        tried = f"none of {names} as it is, through a known function or moved in time (too few numbers to fit factors)"
    if not names:
        return "nothing that the code was given was seen: no formula was tried"
    descriptions = [
        f"{side} is {formulas[0]}" for side, formulas in zip(segment.sides, (ours, theirs), strict=True) if formulas
    ]
    return "; ".join([*descriptions, f"{'the other side' if descriptions else 'either side'} is {tried}"])


def _distance(ours: Sum, theirs: Sum) -> tuple[int, int]:
    """How many terms, factors and functions are not shared; then how many there are."""
    terms = {*ours.terms, *theirs.terms}
    differ = [term for term in terms if ours.terms.get(term) != theirs.terms.get(term)]
    unshared = len(differ) + len({term.given for term in differ}) + (ours.constant != theirs.constant)
    return unshared, len(ours.terms) + len(theirs.terms)


def _causes(segment: Segment, ours: Sum, theirs: Sum) -> list[Cause]:
    """What differs between the two formulas that reproduce each side."""
    description = f"torch's {segment.place} is {ours}, tensorflow's is {theirs}"
    before, after = apart(segment), max(ours.left, theirs.left)
    named = _named(segment, ours, theirs)
    return [Cause(name, segment.path, description, fix, before, after) for name, fix in named]


def _named(segment: Segment, ours: Sum, theirs: Sum) -> list[tuple[str, str]]:
    """The causes' names and fixes, from the terms that only one side has, or has with another factor."""
    fix = f"make it {ours} in tensorflow too, or {theirs} in torch"
    mine = [term for term in ours.terms if ours.terms[term] != theirs.terms.get(term)]
    other = [term for term in theirs.terms if theirs.terms[term] != ours.terms.get(term)]
    if not mine and not other:
        return [("offset", fix)]
    if {*mine} == {*other}:
        ratios = {ours.terms[term] / theirs.terms[term] for term in mine}
        doubled = ratios <= {2.0, 0.5} and len(ours.terms) > 1
        return [("residual" if doubled else "scale", fix)]
    if len(mine) == len(other) == 1:
        return _replaced(segment, mine[0], other[0], fix)
    extra = [term for term in (*mine, *other) if term not in ours.terms or term not in theirs.terms]
    if extra and all(_positions(segment, term) for term in extra):
        return [("positions", fix)]
    if _a_norm(segment, extra) or _before_its_norm(segment):
        return [("norm placement", fix)]
    return [("residual", fix)]


def _before_its_norm(segment: Segment) -> bool:
    """Whether a norm is given another sum, and no norm was called before it: the branch ran without one."""
    norms = [name for name in segment.given if _norm(name)]
    return _norm(segment.place.partition(" of ")[2]) and not norms


def _norm(name: str) -> bool:
    """Whether a layer is called like a normalisation: "norm1", "ln_2"."""
    last = name.rpartition(".")[2]
    return "norm" in last or last.startswith("ln")


def _replaced(segment: Segment, mine: Term, other: Term, fix: str) -> list[tuple[str, str]]:
    """One term in the place of another: of the same array by another function, or moved, or both; or of another."""
    named = []
    if mine.given == other.given:
        if mine.function != other.function:
            name = _function(mine.function, other.function)
            functional = f"{written(mine.function)} in tensorflow, as in torch"
            if "identity" in (mine.function, other.function):
                likely = any(word in mine.function + other.function for word in ("softmax", "sigmoid"))
                name = "from_logits" if likely and (segment.path, segment.place) == ("", "output") else name
                one, another = segment.sides
                more, side = (mine, one) if other.function == "identity" else (other, another)
                functional = f"leave {more} out in {side}, or have it on both sides"
            named.append((name, functional if name in FUNCTIONAL else fix))
        if mine.moved != other.moved:
            named.append(("padding value" if "edge" in mine.moved + other.moved else "time shift", fix))
        return named
    if _a_norm(segment, [mine, other]):
        return [("norm placement", fix)]
    roles = ("query", "key", "value")
    return [("query key value" if mine.given in roles and other.given in roles else "residual", fix)]


def _function(mine: str, other: str) -> str:
    """The cause's name where the functions in both formulas differ."""
    if "leaky_relu" in mine and "leaky_relu" in other:
        return "slope"
    if "softmax over axis" in mine and mine.partition(" ")[0] == other.partition(" ")[0]:
        return "softmax axis"
    if "epsilon" in mine and mine.partition(" (")[0] == other.partition(" (")[0]:
        return "epsilon"
    return "norm placement" if "epsilon" in mine + other or "a norm" in mine + other else "activation"


def _positions(segment: Segment, term: Term) -> bool:
    """Whether an array is the same for every text: what is added for the positions."""
    array = segment.given[term.given]
    return "position" in term.given or array.ndim < segment.found[0].ndim


def _a_norm(segment: Segment, terms: list[Term]) -> bool:
    """Whether one of these terms is a normalisation: of a sum of the others, but for gain and bias."""
    if any(normalised(*pair, segment.limit) is not None for pair in (segment.found, segment.found[::-1])):
        return True
    names = [term.given for term in terms]
    if any(_norm(name) for name in names) or any("a norm" in term.function for term in terms):
        return True
    arrays = {term.given: array for term, array in independent(segment, segment.found[0])}
    arrays |= {name: segment.given[name] for name in names}
    return any(
        normalised(arrays[name], array, segment.limit) is not None
        for name in names
        for other, array in arrays.items()
        if other != name
    )
