"""PairModels: the models of a pair in every precision, which share weights; every verb runs on all of them.

A check sees nothing else of a pair: it loads weights (`ensure`), asks a question (`outputs`, `loss`, `gradients`,
`train`) and judges the `Answer`. A corner is (side, dtype); what runs on a corner's model is a function of the model
alone, so that it can be run again from other weights, or taken from a cache.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from parity.backends import BACKENDS
from parity.backends.protocol import Backend, BackendModel, Trainable, Weighted
from parity.canonical.optimizers import Recipe
from parity.canonical.weights import OWN, Each, Weights, drawn
from parity.compare.divergence import divergence
from parity.compare.square import PrecisionSquare
from parity.dtypes import PRECISIONS, Array, Inputs, transport_dtype
from parity.inputs.arrays import Sample
from parity.inputs.batch import Batch
from parity.pair import carried, transfer
from parity.pair.answer import Answer
from parity.pair.assembly import Assembly, Of
from parity.pair.lending import Cache, Loaded, Run
from parity.pair.nearness import Nearness
from parity.pair.pair import Pair
from parity.pair.rerun import Reruns, reruns
from parity.pair.resting import alone
from parity.pair.shelf import Shelf
from parity.pair.training import Came, Trained, by_parameter, progress, streamed


class PairModels(Assembly):
    """The models of a pair, two sides in each dtype, which share weights; every verb runs on all of them.

    Raises ParityError where a side cannot be built, run or linked. `last` is shared by pairs that borrow models of one
    another: it says whose weights are in them.
    """

    cache: Cache | None = None  # of what the models gave before, where somebody keeps it

    def __init__(
        self, pair: Pair, dtypes: Sequence[str] = PRECISIONS, low_memory: bool = False, last: Loaded | None = None
    ) -> None:
        super().__init__(pair, dtypes, low_memory)
        self.last = last or Loaded()
        self.decided: dict[str, bool] | None = None  # what a check that runs has decided for all of its examples
        self.apart = False  # whether the sides' weights are not the same by construction
        linking = self._linking
        nearness = Nearness(self.models, self.builds, self._sample, lambda: linking.layout)
        linking.settle(self._apart, nearness, self._loaded if self._given else None)
        self.layout = linking.layout
        self.links, self.unproved, self.unlike = linking.links, linking.unproved, linking.unlike
        self.unread = linking.unread
        self.exercised.leave_turned({} if self._given else linking.turned)  # what was loaded tells how it is stored
        self.carried = self._carried()
        if self.carried is not None:
            self.forget()  # what the builders loaded has been written to the models
        self.apart = pair.own_weights and not self._alike()

    @property
    def loaded(self) -> Weights | None:
        """The weights that the models have; None where it is not known what they are."""
        return self.last.weights if self.last.by is self else None

    def _alike(self) -> bool:
        """Whether a side that only runs, a file, holds the other side's numbers: then both weights are the same."""
        every = all(Weighted in BACKENDS[role.backend].offers for role in self.pair.roles.values())
        every = every and bool(self.pair.lacking((Trainable,)))
        return every and carried.same_numbers(*(self.widest(side).read() for side in self.sides))

    def _apart(self) -> tuple[bool, float]:
        """Whether the outputs of a sample differ, and how far they are apart; the weights are lost."""
        self.layout = self._linking.layout
        self.load(Weights(0, 1.0))
        squares = self.outputs(self._sample()).items()
        fails = any(square.judge(name).fails for name, square in squares)
        largest = max(square.float32_difference.max_abs_diff for _, square in squares)
        self.forget()
        return fails, largest

    def shelf(self) -> Shelf:
        """A store for arrays as large as a model until they are compared: in a file, where memory is scarce."""
        return Shelf(self.lean)

    @property
    def frameworks(self) -> dict[str, Backend]:
        """Backend's name -> backend, of both sides: one entry where both are of one framework."""
        return {backend.NAME: backend for backend in self.backends.values()}

    @contextlib.contextmanager
    def alternating(self) -> Iterator[None]:
        """Inside, runs of several models may go on by turns; behind it, the frameworks' settings are as they were."""
        with contextlib.ExitStack() as stack:
            for backend in self.frameworks.values():
                stack.enter_context(backend.alternating())
            yield

    def learning(self) -> list[Of]:
        """The corners that have a loss: of a side in `weaker_loss`, float64 has none."""
        return [(side, dtype) for side, dtype in self.models if dtype != "float64" or side not in self.weaker_loss]

    def widest(self, side: str) -> BackendModel:
        """A side's model in float64; in float32, where it has no other."""
        return self.models.get((side, "float64"), self.models[side, "float32"])

    def batch(self, example: Any) -> Batch:
        """The batch of a `strategies.Case` or of a `Sample`, whose integers are noted as exercised."""
        if isinstance(example, Sample):
            self.exercised.see(example.inputs)
            return Batch(example.inputs, self._targets(example.inputs), None)
        batch: Batch = example.batch(self.pad)
        return batch

    def answers(self, sample: Sample) -> dict[str, Answer]:
        """As `outputs`, of a sample, without targets."""
        self.ensure(sample.weights)
        self.exercised.see(sample.inputs)
        return self.outputs(Batch(sample.inputs, None, None))

    def load(self, weights: Weights) -> Mapping[str, Array]:
        """Set all models to the same drawn float32 values, which every dtype can hold, and return those.

        Nothing is drawn where the models keep the weights that they have: the others take them from float32 again.
        Of `OWN` each side gets what its builder gave it.
        """
        self.forget()  # where writing ends half-way, nothing is loaded
        if weights == OWN and self.carried is not None:
            values: Mapping[str, Array] = self.carried.values[self.sides[0]]
            for side in self.sides:
                transfer.write(self.models[side, "float32"], self.carried.values[side], self.layout)
        else:
            values = drawn(self.layout, weights, self.dtypes)
            transfer.write_all([self.models[side, "float32"] for side in self.sides], values, self.layout)
        self.spread()
        self.last.by, self.last.weights = self, weights
        return values

    def forget(self) -> None:
        """Note that the models' weights are no longer known, so that the next `ensure` loads them."""
        self.last.by = None

    def ensure(self, weights: Weights) -> None:
        """As `load`, unless these are the weights that were loaded last."""
        if self.loaded != weights:
            self.load(weights)

    def outputs(self, batch: Batch, eager: bool = False) -> dict[str, Answer]:
        """Run the models: the logits (tokens, vocab) at a batch's mask, by that name, or each array of an output.

        Outside `tf.function`, if asked for.
        """
        if batch.mask is not None:
            return {"logits": (self.eager if eager else self.logits)(batch.ids, batch.mask)}

        def run(model: BackendModel) -> dict[str, Array]:
            return {f"output{at}": a for at, a in model.outputs(batch.ids, eager).items()}

        outputs, again = self.each(run, "outputs", batch.ids, eager), self.again(run)
        names = dict.fromkeys(name for arrays in outputs.values() for name in arrays)
        return {name: self.answer(outputs, name, again) for name in names}

    def logits(self, ids: Array, mask: Array) -> Answer:
        """Logits (tokens, vocab) at the positions of `mask`."""
        return self._run(lambda model: model.logits(ids)[mask], "logits", ids, mask)

    def eager(self, ids: Array, mask: Array) -> Answer:
        """As `logits`, outside `tf.function`."""
        return self._run(lambda model: model.eager(ids, False)[mask], "eager", ids, mask)

    def streamed(self, ids: Array, start: int) -> Answer:
        """Logits (steps, vocab) of one text (1, time) from position `start` on, its ids fed one by one from there."""
        return self._run(lambda model: streamed(model, ids, start), "streamed", ids, start)

    def loss(self, ids: Inputs, targets: Inputs) -> Answer:
        """The masked mean loss, a scalar, rounded to each corner's dtype."""
        return self._rounded(lambda model: model.loss(ids, targets), "loss", ids, targets)

    def losses(self, ids: Array, targets: Array, smoothing: float = 0.0) -> Answer:
        """The loss of every token (batch, time), 0 at padding; with labels smoothed, if asked for."""
        return self._rounded(lambda model: model.losses(ids, targets, smoothing), "losses", ids, targets, smoothing)

    def gradients(self, ids: Inputs, targets: Inputs) -> Mapping[str, Answer]:
        """Gradients of `loss` by canonical parameter, each of its shape."""

        shelf = self.shelf()

        def run(model: BackendModel) -> Mapping[str, Array]:
            return shelf.keep(model.gradients(ids, targets).items())

        outputs, again = self.each(run, "gradients", ids, targets, chosen=self.learning()), self.again(run)
        answers = Each(self._names(outputs), lambda name: self.answer(outputs, name, again))
        return dict(answers) if shelf.in_memory else answers

    def train(self, weights: Weights, recipe: Recipe, steps: Sequence[Sequence[tuple[Any, Any]]]) -> Trained:
        """Train from these weights, each step by its micro-batches; in float32 and float64 alone.

        Nobody trains in a lower precision: its steps are smaller than what its weights can hold.
        """
        shelf = self.shelf()
        start = shelf.keep(self.load(weights).items())
        # A weight of 1 has neighbours 2^-7 away in bfloat16: a step of 1e-3 does not move it.
        chosen = [corner for corner in self.learning() if corner[1] in PRECISIONS]
        exact = next(corner for corner in chosen if corner[1] == "float64")
        # What takes most on its way comes first, when nothing is kept yet of the others.
        others = sorted(chosen, key=lambda corner: corner[1] != "float64")
        others.remove(exact)

        def run(model: BackendModel) -> Mapping[Came, Array]:
            with alone(self, model, start):
                return shelf.keep(progress(model, start, recipe, steps))

        try:
            runs = self.each(run, "train", recipe, steps, chosen=[exact])
            moved = self._moved(exact, runs[exact], start, recipe, steps)
            runs |= self.each(run, "train", recipe, steps, chosen=others)
        finally:
            self.forget()
        squares = {
            what: self._squares(shelf, {corner: by_parameter(run, what) for corner, run in runs.items()})
            for what in dict.fromkeys(what for what, _ in runs[exact])
        }
        return Trained(squares, moved)

    def _moved(
        self, corner: Of, run: Mapping[Came, Array], start: Mapping[str, Array], recipe: Recipe, steps: Any
    ) -> Mapping[Came, float]:
        """How far all that a corner's training came to moves from weights one representable number away."""
        # The next representable number: no smaller change of a weight can be written.
        nudged = Each(start, lambda name: np.nextafter(start[name].astype(np.float64), np.inf))
        model = self.models[corner]
        with alone(self, model, start):
            model.write(nudged)
            again = progress(model, start, recipe, steps)
            return {came: divergence(run[came], array).max_abs_diff for came, array in again}

    def _run(self, run: Callable[[BackendModel], Array], *what: Any) -> Answer:
        def named(model: BackendModel) -> dict[str, Array]:
            return {"": run(model)}

        return self.answer(self.each(named, *what), "", self.again(named))

    def each(self, run: Run, *what: Any, chosen: Sequence[Of] = ()) -> dict[Of, Any]:
        """(side, dtype) -> result of `run` on that model, of all or those `chosen`; `what` is its key in a cache."""
        return {corner: self._asked(corner, run, what) for corner in chosen or self.models}

    def _asked(self, corner: Of, run: Run, what: Sequence[Any]) -> Any:
        """What `run` gives of a corner's model; from the cache, where there is one and it is known which weights are
        loaded.
        """
        if self.cache is None or self.loaded is None:
            return run(self.models[corner])
        return self.cache.given(corner, self.models[corner], self.loaded, what, run)

    def again(self, run: Callable[[BackendModel], Mapping[str, Array]]) -> Reruns:
        """`run` in float64 from weights moved by a dtype's rounding, as `pair.rerun`."""
        return reruns(self.models, self.sides, lambda: self.loaded, run)

    def answer(self, outputs: Mapping[Of, Mapping[str, Array]], name: str, again: Reruns) -> Answer:
        """The square of what each corner gives by this name, with what runs a side again."""
        square, of_name = self._square(outputs, name), lambda *draw: again(*draw).get(name)
        return Answer(square.rows, square.sides, square.reason, square.own_weights, again=of_name)

    def _squares(self, shelf: Shelf, outputs: Mapping[Of, Mapping[str, Array]]) -> Mapping[str, PrecisionSquare]:
        """Arrays by parameter. One that a side lacks is an empty array there."""
        squares = Each(self._names(outputs), lambda name: self._square(outputs, name))
        return dict(squares) if shelf.in_memory else squares

    def _names(self, outputs: Mapping[Of, Mapping[str, Array]]) -> list[str]:
        """The names of all corners' arrays in the layout's order; "" is the losses', which are no parameter's."""
        names = {name for arrays in outputs.values() for name in arrays}
        return [name for name in (*self.layout, "") if name in names]

    def _rounded(self, run: Callable[[BackendModel], Array], *what: Any) -> Answer:
        """As `_run`, of a loss, which a lower precision's model computes in float32: rounded to its own dtype."""
        with np.errstate(over="ignore"):  # float16 ends at 65,504
            return self._run(lambda model: run(model).astype(transport_dtype(model.dtype), copy=False), *what)

    def _square(self, runs: Mapping[Of, Mapping[str, Array]], name: str) -> PrecisionSquare:
        """The arrays of one name in every corner as a square; an empty array where a corner has none of the name."""
        named = {(side, dtype): of.get(name, np.empty(0, transport_dtype(dtype))) for (side, dtype), of in runs.items()}
        dtypes = [dtype for dtype in self.dtypes if any(run == dtype for _, run in named)]
        one, other = self.sides
        rows = {dtype: (named.get((one, dtype)), named.get((other, dtype))) for dtype in dtypes}
        lacking = (self.weaker_loss | self.weaker).items()
        reason = "; ".join(reason_of for side, reason_of in lacking if (side, "float64") not in named)
        return PrecisionSquare(rows, self.sides, reason, self.apart)
