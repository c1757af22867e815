"""One side's layers beside the other side's, of which a file tells: how the weights of that file are read."""

from collections.abc import Callable, Iterator, Mapping

from parity.canonical.layer import CanonicalParameter, Layer
from parity.canonical.transforms import SAME
from parity.canonical.weights import Weights, draw
from parity.dtypes import Array
from parity.errors import ParityError
from parity.pair import transfer
from parity.pair.dumped import Dumped, agree
from parity.pair.forms import forms
from parity.pair.links import Guess, guesses
from parity.pair.one_side import OneSide
from parity.pair.sides import side_of
from parity.pair.twins import describe

Read = Callable[[Weights], Mapping[str, Array]]  # drawn weights -> this side's canonical parameters
WAY = 'check both in one environment, or give each its weights and say Pair(weights="given")'


def reading(one: OneSide, file: Dumped) -> tuple[Read, str]:
    """The function that reads the file's weights for this side, and, in words, the links that no run confirms.

    Of several ways to link the layers, that by which this side's outputs match the file's of its first example; where
    none does, the likeliest, so that a real difference is reported. This side's models then go by these links.
    Raises ParityError where a layer of either side has no counterpart.
    """
    example, likeliest = file.examples[0], None
    for guess in _guesses(one, file):
        read = _read(one, file, guess)
        if read is None:
            continue
        if agree(file.runs(0), one.runs(example, read(example.weights))):
            return read, ""
        likeliest = likeliest or guess
    read = _read(one, file, likeliest) if likeliest else None
    if likeliest is None or read is None:
        raise ParityError(f"{file.path}: {_unmatched(one, file)}; {WAY}")
    doubted = [f"{link.ours} and {link.theirs}" for link in likeliest.links if link.how == "order"]
    return read, f"matched by the order of calls, which no run confirms: {', '.join(doubted)}" if doubted else ""


def _guesses(one: OneSide, file: Dumped) -> Iterator[Guess]:
    """Sets of links between the file's side and this one, the likeliest first, in the pair's order of sides."""
    ours = side_of(one.side, one.model, one.builds[one.side].sample)
    sides = (ours, file.layers) if _place(one) == 0 else (file.layers, ours)
    return guesses(*sides, one.pair.links or {})


def _place(one: OneSide) -> int:
    return one.sides.index(one.side)


def _read(one: OneSide, file: Dumped, guess: Guess) -> Read | None:
    """Have this side's models go by these links; return what turns drawn weights into their parameters.

    None where a parameter has no counterpart, or shapes do not agree.
    """
    place, theirs = _place(one), _layers(file, {})
    formed = forms(guess, (one.model.own, theirs) if place == 0 else (theirs, one.model.own))
    if any(reading.held for form in formed for layer in form.layers for reading in layer.readings):
        return None

    def read(weights: Weights) -> dict[str, Array]:
        layers = formed[1 - place].of(_layers(file, draw(file.layout, weights)), "float32")
        return {f"{of.path}.{p.parameter}": p.transform.pack(*p.variables) for of in layers for p in of.parts}

    one.rename(formed[place])
    shapes = {name: array.shape for name, array in read(file.examples[0].weights).items()}
    wanted = {name: shape for name, (_, shape) in transfer.layout(one.side, one.model).items()}
    return read if shapes == wanted else None


def _layers(file: Dumped, values: Mapping[str, Array]) -> list[Layer]:
    """The other side's layers from the file's layout, with these values as variables; without values, names alone."""
    parts: dict[tuple[str, str], list[CanonicalParameter]] = {}
    for name, (kind, _) in file.layout.items():
        path, _, parameter = name.rpartition(".")
        variables = (values[name],) if name in values else ()
        parts.setdefault((path, kind), []).append(CanonicalParameter(parameter, variables, (name,), SAME))
    return [Layer(path, kind, tuple(of)) for (path, kind), of in parts.items()]


def _unmatched(one: OneSide, file: Dumped) -> str:
    """The layers that have no counterpart by the likeliest links, in words for a message."""
    guess = next(_guesses(one, file))
    taken = {link.ours for link in guess.links}, {link.theirs for link in guess.links}
    left = [
        [f"{path} ({describe(of)})" for path, of in side.layers.items() if path not in having]
        for side, having in zip(guess.sides, taken, strict=True)
    ]
    parts = [f"only in {side}: {', '.join(of)}" for side, of in zip(one.sides, left, strict=True) if of]
    return " and ".join(parts) or "the layers hold other parameters"
