"""Pair: two builds of one model, one tokenizer, one set of weights; Corners: its models in every precision."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from parity import backends, layers, probe, transfer
from parity.backends import PRECISIONS, SIDES, Corner
from parity.errors import ParityError
from parity.layers import Array, Weights, carrier
from parity.recipe import Recipe
from parity.runs import Square
from parity.square import EPS, NUDGES
from parity.tokenizer import Tokenizer

Nudges = Callable[[int, str, int], dict[str, Array]]


@dataclass(frozen=True)
class Pair:
    """Two models that are meant to be the same.

    `torch` and `tensorflow` build an untrained model each: `() -> torch.nn.Module` and
    `() -> keras.Model`, from ids (batch, time) int64 to logits (batch, time, vocab). Twin layers
    bear the same name; a weight that several layers share is the first one's. A check builds each
    side in float32 and float64, so a builder should not fix a dtype; it must be importable (not a
    lambda), because a reload is proved in a fresh process.

    `length` is how many ids the models take at most, if there is an end to it. `left_padding` claims
    that padding on the left changes nothing either.
    """

    name: str
    torch: Callable[[], Any]
    tensorflow: Callable[[], Any]
    tokenizer: Tokenizer | str | Path
    length: int | None = None
    left_padding: bool = False

    def vocabulary(self) -> Tokenizer:
        """The tokenizer, loaded. Raises ParityError as `Tokenizer.load`."""
        if isinstance(self.tokenizer, Tokenizer):
            return self.tokenizer
        if not isinstance(self.tokenizer, str | Path):
            raise ParityError(f"the tokenizer of {self.name} is a {type(self.tokenizer).__name__}; give a .model file")
        return Tokenizer.load(self.tokenizer)

    @property
    def builds(self) -> Mapping[str, Callable[[], Any]]:
        """Side -> builder."""
        return {side: getattr(self, side) for side in SIDES}


def precisions(dtypes: Sequence[str]) -> tuple[str, ...]:
    """The dtypes in the order of `EPS`, each once. Raises ParityError unless float64 and float32 are among them."""
    for dtype in dtypes:
        if dtype not in EPS:
            raise ParityError(f"unknown dtype {dtype!r}; there is {', '.join(EPS)}")
    for dtype in PRECISIONS:
        if dtype not in dtypes:
            raise ParityError(f"{dtype} is missing from the dtypes; a verdict needs {' and '.join(PRECISIONS)}")
    return tuple(dtype for dtype in EPS if dtype in dtypes)


# What a training came to -> parameter -> array: the "losses" (steps,) before each step (of no
# parameter: ""), each weight's "change", and the optimizer's state by `recipe.MOMENTS`.
Progress = dict[str, dict[str, Array]]


@dataclass(frozen=True)
class Trained:
    """A training in every corner, and once more in float64 from weights one representable number away."""

    squares: dict[str, dict[str, Square]]
    nudged: Progress


class Corners:
    """The models of a pair, two sides in each dtype, which share weights; every verb runs on all of them.

    A side that cannot run in float64 has no such corner: `weaker` says why, and every square stands
    on three corners.
    """

    def __init__(self, pair: Pair, dtypes: Sequence[str] = PRECISIONS) -> None:
        self.dtypes = precisions(dtypes)
        self.pair = pair
        self.tokenizer = pair.vocabulary()
        self.backends = backends.load()
        self.models: dict[tuple[str, str], Corner] = {(side, "float32"): self._model(side, "float32") for side in SIDES}
        self.layout = transfer.agree({side: transfer.layout(side, self.models[side, "float32"]) for side in SIDES})
        for side in SIDES:
            probe.answers(side, self.models[side, "float32"], self.tokenizer.vocab, self.tokenizer.pad)
            probe.takes(side, self.models[side, "float32"], pair.length)
        self.weaker: dict[str, str] = {}
        for side, dtype in product(SIDES, self.dtypes):
            if dtype != "float32":
                self._add(side, dtype)
        if len(self.weaker) == len(SIDES):
            told = "; ".join(self.weaker.values())
            raise ParityError(f"{told}; without one float64 corner there is nothing to measure against")
        self.reason = "; ".join(self.weaker.values())
        self._loaded: Weights | None = None

    def _model(self, side: str, dtype: str) -> Corner:
        return self.backends[side].Model(self.pair.builds[side], dtype, self.tokenizer.pad)

    def _add(self, side: str, dtype: str) -> None:
        """One more corner; or, where float64 does not run, why. Raises ParityError where another dtype does not."""
        try:
            model = self._model(side, dtype)
            transfer.layout(side, model)
            probe.answers(side, model, self.tokenizer.vocab, self.tokenizer.pad)
            problem = (
                probe.leak(model, self.layout, self.tokenizer.vocab, self.tokenizer.pad) if dtype == "float64" else ""
            )
        except ParityError as error:
            problem = str(error)
        if not problem:
            self.models[side, dtype] = model
        elif dtype == "float64":
            self.weaker[side] = f"{side} cannot run in float64: {problem}"
        else:
            raise ParityError(f"{side} cannot run in {dtype}: {problem}; leave {dtype} out")

    def load(self, weights: Weights) -> dict[str, Array]:
        """Set all models to the same drawn float32 values, which every dtype can hold, and return those."""
        values = layers.draw(self.layout, weights, self.dtypes)
        for side in SIDES:
            transfer.write(self.models[side, "float32"], values, self.layout)
        for (side, dtype), model in self.models.items():
            if dtype != "float32":
                model.follow(self.models[side, "float32"])
        self._loaded = weights
        return values

    def ensure(self, weights: Weights) -> None:
        """As `load`, unless these are the weights that were loaded last."""
        if self._loaded != weights:
            self.load(weights)

    def forget(self) -> None:
        """Whatever was loaded last, these are other weights now."""
        self._loaded = None

    def logits(self, ids: Array, mask: Array) -> Square:
        """Logits (tokens, vocab) at the positions of `mask`."""
        return self._run(lambda model: model.logits(ids)[mask])

    def eager(self, ids: Array, mask: Array, training: bool = False) -> Square:
        """As `logits`, outside `tf.function`; in training mode, if asked for."""
        return self._run(lambda model: model.eager(ids, training)[mask])

    def streamed(self, ids: Array, start: int) -> Square:
        """Logits (steps, vocab) of one text (1, time) from position `start` on, its ids fed one by one from there."""
        return self._run(lambda model: _streamed(model, ids, start))

    def loss(self, ids: Array, targets: Array) -> Square:
        """The masked mean loss, a scalar, rounded to each corner's dtype."""
        return self._rounded(lambda model: model.loss(ids, targets))

    def losses(self, ids: Array, targets: Array, smoothing: float = 0.0) -> Square:
        """The loss of every token (batch, time), 0 at padding; with labels smoothed, if asked for."""
        return self._rounded(lambda model: model.losses(ids, targets, smoothing))

    def gradients(self, ids: Array, targets: Array) -> dict[str, Square]:
        """Canonical gradients by parameter."""

        def run(model: Corner) -> dict[str, Array]:
            return model.gradients(ids, targets)

        return self._squares({corner: run(model) for corner, model in self.models.items()}, self._nudged(run))

    def train(self, weights: Weights, recipe: Recipe, steps: Sequence[Sequence[tuple[Array, Array]]]) -> Trained:
        """Train from these weights, each step by its micro-batches; in float32 and float64 alone.

        Nobody trains in a lower precision: its steps are smaller than what its weights can hold.
        """
        values = self.load(weights)
        self.forget()
        runs = {k: _progress(model, values, recipe, steps) for k, model in self.models.items() if k[1] in PRECISIONS}
        squares = {
            what: self._squares({corner: run[what] for corner, run in runs.items()})
            for what in next(iter(runs.values()))
        }
        exact = next(model for (_, dtype), model in self.models.items() if dtype == "float64")
        nudged = {name: np.nextafter(array.astype(np.float64), np.inf) for name, array in values.items()}
        transfer.write(exact, nudged, self.layout)
        return Trained(squares, _progress(exact, values, recipe, steps))

    def _run(self, run: Callable[[Corner], Array]) -> Square:
        nudged = self._nudged(lambda model: {"": run(model)})
        return self._square({corner: run(model) for corner, model in self.models.items()}, "", nudged)

    def _nudged(self, run: Callable[[Corner], dict[str, Array]]) -> Nudges:
        """`run` again from weights moved by a dtype's rounding, while those that are loaded now are."""
        loaded = self._loaded

        @lru_cache(2 * NUDGES)
        def again(place: int, dtype: str, time: int) -> dict[str, Array]:
            model = self.models.get((SIDES[place], "float64"))
            if model is None or loaded is None or self._loaded != loaded:
                return {}
            random = np.random.default_rng(time)
            reach = EPS[dtype]
            model.write({n: v * random.uniform(1 - reach, 1 + reach, v.shape) for n, v in model.read().items()})
            try:
                return run(model)
            finally:
                model.follow(self.models[SIDES[place], "float32"])

        return again

    def _squares(
        self, found: dict[tuple[str, str], dict[str, Array]], nudged: Nudges | None = None
    ) -> dict[str, Square]:
        """Arrays by parameter. One that a side lacks is an empty array there."""
        names = dict.fromkeys(name for arrays in found.values() for name in arrays)

        def of(name: str) -> Square:
            return self._square(
                {(side, dtype): a.get(name, np.empty(0, carrier(dtype))) for (side, dtype), a in found.items()},
                name,
                nudged,
            )

        return {name: of(name) for name in (*self.layout, "") if name in names}

    def _rounded(self, run: Callable[[Corner], Array]) -> Square:
        with np.errstate(over="ignore"):  # float16 ends at 65,504
            return self._run(lambda model: run(model).astype(carrier(model.dtype), copy=False))

    def _square(self, runs: dict[tuple[str, str], Array], name: str = "", nudged: Nudges | None = None) -> Square:
        dtypes = [dtype for dtype in self.dtypes if any(run == dtype for _, run in runs)]
        rows = {dtype: (runs.get((SIDES[0], dtype)), runs.get((SIDES[1], dtype))) for dtype in dtypes}
        again = (lambda place, dtype, time: nudged(place, dtype, time).get(name)) if nudged else None
        return Square(rows, (SIDES[0], SIDES[1]), self.reason, again)


def _progress(
    model: Corner, start: Mapping[str, Array], recipe: Recipe, steps: Sequence[Sequence[tuple[Array, Array]]]
) -> Progress:
    learner = model.learner(recipe)
    losses = np.array([learner.step(batches) for batches in steps])
    changes = {name: array - start[name] for name, array in model.read().items()}
    return {"losses": {"": losses}, "change": changes, **learner.state()}


def _streamed(model: Corner, ids: Array, start: int) -> Array:
    fed, state, logits = ids[:, : start + 1], None, []
    for position in range(start, ids.shape[1]):
        found, state = model.advance(fed, state)
        logits.append(found[0, -1:])
        fed = ids[:, position + 1 : position + 2]
    return np.concatenate(logits)
