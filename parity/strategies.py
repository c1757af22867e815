"""Hypothesis strategies: texts, rows of ids, weights, and whole cases. What a plain batch never hits.

Every strategy shrinks towards the plain: short texts, small ids, seed 0, scale 1.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import optree
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from parity.canonical.optimizers import RATES as RATES
from parity.canonical.optimizers import Recipe
from parity.canonical.weights import OWN, Weights
from parity.dtypes import Array
from parity.errors import ParityError
from parity.files import read_texts
from parity.inputs.arrays import Sample
from parity.inputs.batch import Batch, batch, rows_of
from parity.inputs.edges import Ids, integers, numbers, padded
from parity.inputs.sampling import Drawn, edged, plain
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.pair.models import PairModels
from parity.pair.one_side import OneSide

ROWS = 4  # rows in a batch, at most, but for one with edges
BATCHES = (5, 1, 6, 2, 7, 3)  # rows in a batch of arrays with edges; five have every kind
PLAIN_BATCHES = (2, 1, 3, 4)  # the same without edges; of one row alone a loss over the batch may say nothing
SCALES = (1.0, 0.01, 30.0)  # of the weights: plain, small activations, large logits and saturated gates
LARGE = 300.0  # of inputs
LENGTH = 13  # ids in a row, at most, but for one of the models' own length; one less is the model's time
COUNTED = st.shared(st.builds(count), key="number of parity's arrays")  # one counter for all arrays of an example


@dataclass(frozen=True)
class Case:
    """Weights and rows of at least two ids each: one example for a check of the models."""

    weights: Weights
    rows: tuple[tuple[int, ...], ...]

    def batch(self, pad: int) -> Batch:
        """The rows as one batch, padded with this id on the right."""
        return batch(self.rows, pad)

    def chosen(self, order: tuple[int, ...]) -> "Case":
        """The example of the rows at these places, in this order; the weights stay."""
        return Case(self.weights, tuple(self.rows[place] for place in order))


Example = Case | Sample
Models = PairModels | OneSide  # of both sides of a pair, or of one


def texts() -> SearchStrategy[str]:
    """Any Unicode text but lone surrogates: real lines, noise, noise inside real lines, typed specials."""
    letters = st.characters(exclude_categories=["Cs"])
    noise = st.text(letters, max_size=24)
    tricky = st.sampled_from(["<pad>", "<s>", "</s>", "<unk>", "<0x41>", "\u2581", "  ", "\t\n", "\ufb01", "\u0300"])
    real = st.sampled_from(read_texts(fixture("texts/sample.txt")))
    mixed = st.lists(st.one_of(noise, tricky, real), min_size=1, max_size=4).map("".join)
    return st.one_of(noise, real, mixed)


def plain_texts() -> SearchStrategy[str]:
    """Texts that NFKC leaves alone, without U+2581 and unassigned characters: these survive encoding."""
    return texts().map(lambda text: unicodedata.normalize("NFKC", text)).filter(is_plain)


def is_plain(text: str) -> bool:
    """Whether a text meets the precondition under which decode(encode(text)) is the text itself, but for repeated and
    outer spaces: it is in NFKC already, and has no U+2581, which stands for a space, and no unassigned character.
    """
    assigned = all(unicodedata.category(character) != "Cn" for character in text)
    return assigned and "\u2581" not in text and unicodedata.is_normalized("NFKC", text)


def weights(corners: Models | None = None) -> SearchStrategy[Weights]:
    """Weights from near zero (small activations) to saturating ones (large logits); or those that the models have.

    And of a pair that was rightly converted, those that its builders loaded.
    """
    drawn = st.builds(Weights, st.integers(0, 2**16), st.sampled_from(SCALES))
    if corners is not None and corners.pair.own_weights:
        return st.just(OWN)
    if corners is not None and corners.carried is not None and corners.carried.alike:
        return st.one_of(st.just(OWN), drawn)
    return drawn


def rows(
    tokenizer: Tokenizer, longest: int | None = None, spare: int = 0
) -> SearchStrategy[tuple[tuple[int, ...], ...]]:
    """One to `ROWS` rows of unequal length: real text, any ids, one id repeated, special ids inside.

    Now and then a lone row of length 1 for the model, or of `longest`: what the model takes at most,
    `spare` of which stay free. At least one target is not padding, because the mean over no token is
    undefined.
    """
    length = LENGTH if longest is None else min(LENGTH, longest - spare + 1)
    special = st.sampled_from([i for i in (*tokenizer.specials.values(), tokenizer.vocab - 1) if i >= 0])
    token = st.one_of(st.integers(4, tokenizer.vocab - 1), special)
    some = st.lists(token, min_size=2, max_size=length)
    repeated = st.builds(lambda one, times: [one] * times, token, st.integers(2, length))
    real = texts().map(lambda text: rows_of([text], tokenizer, length)).filter(bool).map(lambda row: row[0])
    row = st.one_of(some, real, repeated).map(tuple)
    several = st.lists(row, min_size=1, max_size=ROWS).map(tuple)
    kinds = [several, several, several, st.tuples(st.tuples(token, token))]
    if longest is not None:
        size = longest - spare + 1
        kinds.append(st.tuples(st.lists(token, min_size=size, max_size=size).map(tuple)))
    drawn = st.sampled_from(range(len(kinds))).flatmap(kinds.__getitem__)
    return drawn.filter(lambda row: _counts(row, tokenizer.pad))


def cases(
    tokenizer: Tokenizer, longest: int | None = None, spare: int = 0, of: SearchStrategy[Weights] | None = None
) -> SearchStrategy[Case]:
    """Weights, or those of a strategy, and rows together."""
    return st.builds(Case, weights() if of is None else of, rows(tokenizer, longest, spare))


def texts_of(corners: Models, spare: int = 0, of: SearchStrategy[Weights] | None = None) -> SearchStrategy[Case]:
    """As `cases`, of a pair's tokenizer, of the length that its models take."""
    return cases(corners.tokenizer, corners.pair.length, spare, weights(corners) if of is None else of)


def examples(corners: Models, edges: bool = True, of: SearchStrategy[Weights] | None = None) -> SearchStrategy[Example]:
    """Weights, or those of a strategy, and what the pair's models take.

    Without edges for what takes a derivative: at a tie, at zero and of a row of padding alone there may be none,
    and each framework has a value of its own there.
    """
    if corners.pair.inputs is None:
        return texts_of(corners, of=of)
    return st.builds(Sample, weights(corners) if of is None else of, inputs(corners, edges))


def inputs(corners: Models, edges: bool = True) -> SearchStrategy[Any]:
    """What the models of a pair without a tokenizer take; without edges as in `examples`, or where one refuses them."""
    drawn = corners.pair.inputs
    if drawn is None:
        raise ValueError("a pair with a tokenizer has texts")
    return drawn if edges and not corners.exercised.refused else plain(drawn)


def changed(corners: PairModels, change: Callable[..., Any], *by: SearchStrategy[int]) -> SearchStrategy[Sample]:
    """Examples of a pair whose inputs have padding, each changed by one of `edges`' functions.

    `change` is called with the inputs, the pair's `ids` and a number drawn from each of `by`.
    """

    def built(weights: Weights, drawn: Any, numbers: tuple[int, ...]) -> Sample:
        return Sample(weights, change(drawn, corners.pair.ids, *numbers))

    return st.builds(built, weights(corners), inputs(corners), st.tuples(*by))


def arrays(*shape: int, below: int | None = None, edges: bool = True) -> SearchStrategy[Array]:
    """Arrays (batch, *shape) for a pair's `inputs`: float32, or int64 from 0 up to, but not including, `below`.

    Drawn as a seed, so that large ones cost nothing. Among the rows are exact zeros, ties and rows of zeros, unless
    `edges` is False; integers have 0 and `below` - 1 among them, and a row that ends in zeros.
    """

    def array(random: np.random.Generator, rows: int, scale: float, edges: bool) -> Array:
        if below is not None:
            return integers(random, rows, shape, below)
        return numbers(random, rows, shape, scale, edges)

    return Drawn(_batches(array, edges), {} if below is None else {(): Ids(below)})


def ids(length: int, vocabulary: int, pad: int = 0, edges: bool = True) -> SearchStrategy[Array]:
    """Ids (batch, length) int64 below `vocabulary`, for a pair's `inputs`: texts of unequal length, padded at the end.

    Every batch has padding and the last id; of five rows and more one is full, one is of one token, one begins with
    the first id, and one is nothing but padding, unless `edges` is False. No text has `pad` inside.
    A pair with such inputs has the checks padding, masking and causality as well. Raises ParityError where `pad` is no
    id, or the only one.
    """
    if length < 1 or not 0 <= pad < vocabulary or vocabulary < 2:
        raise ParityError(
            f"ids({length}, {vocabulary}, pad={pad}): a length from 1, a vocabulary from 2, and pad among its ids"
        )
    entry = Ids(vocabulary, pad)

    def array(random: np.random.Generator, rows: int, _: float, edges: bool) -> Array:
        return padded(random, rows, length, entry, edges)

    return Drawn(_batches(array, edges), {(): entry})


def _generator(seed: int, counted: Iterator[int]) -> np.random.Generator:
    """Another one for each array of an example: two of one shape must not be equal where both shrink to seed 0."""
    place = next(counted)
    return np.random.default_rng((seed, place) if place else seed)


def _batches(array: Callable[[np.random.Generator, int, float, bool], Array], edges: bool) -> SearchStrategy[Array]:
    """Draw what `array` makes of a generator, a number of rows, a scale, and whether the rows have edges.

    They have where both this array (`edges`) and the example as a whole (`edged`) want them.
    """

    def batches(wanted: bool) -> SearchStrategy[Array]:
        rows = st.sampled_from(BATCHES if wanted and edges else PLAIN_BATCHES)
        scale = st.sampled_from((*SCALES, LARGE) if wanted and edges else SCALES)
        random = st.builds(_generator, st.integers(0, 2**16), COUNTED)
        return st.builds(array, random, rows, scale, st.just(wanted and edges))

    return edged(True).flatmap(batches)


def together(*placed: SearchStrategy[Array], **named: SearchStrategy[Array]) -> SearchStrategy[Any]:
    """Several arrays, each cut to as many rows as the shortest has: a tuple of those by place, a dict of those by name.

    Raises ParityError where some are given by place and some by name.
    """
    if placed and named:
        raise ParityError("strategies.together() takes arrays by place, for a tuple, or by name, for a dict, not both")

    def cut(drawn: Any) -> Any:
        rows = min(map(len, optree.tree_leaves(drawn)))
        return optree.tree_map(lambda array: array[:rows], drawn)

    settings = {
        (name, *at): ids
        for name, one in (*enumerate(placed), *named.items())
        for at, ids in getattr(one, "ids", {}).items()
    }
    return Drawn((st.fixed_dictionaries(named) if named else st.tuples(*placed)).map(cut), settings)


def recipes() -> SearchStrategy[Recipe]:
    """Every optimizer, at rates that move the weights; all it has, on and off."""

    def of(optimizer: str) -> SearchStrategy[Recipe]:
        return st.builds(
            Recipe,
            st.just(optimizer),
            rate=st.sampled_from(RATES[optimizer]),
            memory=st.sampled_from([0.999, 0.9]),
            epsilon=st.sampled_from([1e-8, 1e-4]),
            decay=st.sampled_from([0.0, 0.01]),
            clip=st.sampled_from([None, 0.1]),
            drop=st.sampled_from([None, 2]),
        )

    return st.sampled_from(list(RATES)).flatmap(of)


def _counts(drawn: Sequence[Sequence[int]], pad: int) -> bool:
    """Whether any target, which are all ids of a row but the first, counts in a loss."""
    return any(token != pad for row in drawn for token in row[1:])
