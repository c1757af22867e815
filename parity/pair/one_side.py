"""One side of a pair by itself, in float32 and float64: what it gives, where the other framework is not installed.

Two environments that no process can join (torch here, an old TensorFlow there) are held against each other by a file:
this side's runs are written to one (`dumped`), and read where the other side is (`counterpart`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from parity import backends
from parity.backends.protocol import BackendModel
from parity.canonical.form import Form
from parity.canonical.weights import OWN, Weights, draw, jittered
from parity.compare.divergence import divergence
from parity.compare.judge import REDRAWS
from parity.dtypes import PRECISIONS, Array, Inputs
from parity.errors import ParityError, unknown
from parity.inputs.arrays import Sample
from parity.inputs.batch import Batch
from parity.pair import transfer
from parity.pair.assembly import Assembly
from parity.pair.exercised import Exercised
from parity.pair.pair import Pair
from parity.pair.sides import side_of


@dataclass(frozen=True)
class Example:
    """An example for one side: its weights, inputs in any nesting, and of texts the mask of their tokens."""

    weights: Weights
    inputs: Inputs
    mask: Array | None = None


@dataclass(frozen=True)
class Given:
    """A side's outputs by dtype and place, and how far each place moves when weights are rounded to float32."""

    runs: Mapping[str, Mapping[str, Array]]
    moved: Mapping[str, list[float]]


class OneSide(Assembly):
    """The models of one side. Nothing is linked: its layers are its own, by its own names."""

    carried = None

    def __init__(self, pair: Pair, side: str) -> None:
        if side not in pair.sides:
            raise ParityError(unknown("side", side, list(pair.sides)))
        self.pair, self.side, self.sides, self.dtypes = pair, side, pair.sides, PRECISIONS
        self.tokenizer: Any = pair.vocabulary() if pair.inputs is None else None
        self.pad = self.tokenizer.pad if self.tokenizer else None
        self.builds = dict(pair.builds)
        self.backends = backends.of({side: self.builds[side]})
        self.models = {(side, "float32"): self._model(side, "float32")}
        self._probed(side, self.model)
        self.exercised = Exercised(pair, self.models)
        self.layout = {} if pair.own_weights else transfer.layout(side, self.model)
        self.weaker, self.weaker_loss = dict[str, str](), dict[str, str]()
        self._add(side, "float64")

    @property
    def model(self) -> BackendModel:
        """The float32 model, from which the float64 one takes its weights."""
        return self.models[self.side, "float32"]

    def runs(self, example: Example, values: Mapping[str, Array] | None = None) -> dict[str, dict[str, Array]]:
        """Run both precisions on an example, with these values of the parameters: dtype -> place -> array.

        Or with those that are drawn for it; or with the models' own, which are never written to.
        """
        if example.weights != OWN:
            self.model.write(dict(draw(self.layout, example.weights) if values is None else values))
            for model in self.models.values():
                if model is not self.model:
                    model.copy_parameters_from(self.model)
        return {dtype: _run(model, example) for (_, dtype), model in self.models.items()}

    def gives(self, example: Example, values: Mapping[str, Array] | None = None) -> Given:
        """As `runs`, and how far the float64 arrays move with weights that are moved by float32's rounding.

        The file's reader judges by that (`dumped`), as it cannot run this side again. Where a side has no float64,
        nothing is moved.
        """
        runs = self.runs(example, values)
        wide = self.models.get((self.side, "float64"))
        moved = [_run(wide, example) for _ in self._jitter(wide)] if wide is not None else []
        outputs = {
            place: [divergence(arrays[place], exact).max_abs_diff for arrays in moved if place in arrays]
            for place, exact in runs.get("float64", {}).items()
            if exact.dtype.kind == "f"
        }
        return Given(runs, outputs)

    def rename(self, form: Form) -> None:
        """Read the layers by this form, in both precisions."""
        self.builds[self.side] = build = replace(self.builds[self.side], form=form)
        for model in self.models.values():
            model.rename(build.form, build.nodes)

    def described(self) -> dict[str, Any]:
        """The side as JSON for the file: its layers, how they flow, and why float64 is missing, if it is."""
        side = side_of(self.side, self.model, self.builds[self.side].sample)
        return {
            "side": self.side,
            "layout": [[name, kind, list(shape)] for name, (kind, shape) in self.layout.items()],
            "flow": {name: sorted(sources) for name, sources in side.flow.before.items()},
            "ends": sorted(side.flow.ends),
            "bare": sorted(side.bare),
            "weaker": self.weaker.get(self.side, ""),
            "versions": self.backends[self.side].versions(),
        }

    def _jitter(self, model: BackendModel) -> Iterator[int]:
        """Move a model's weights by float32's rounding, by other random numbers each time; put them back in between."""
        for time in range(REDRAWS):
            model.write(jittered(model.parameters(), "float32", time))
            yield time
            model.copy_parameters_from(self.model)

    def _targets(self, inputs: Inputs) -> Inputs:
        return inputs if self.pair.loss else ()


def example_of(drawn: Any, pad: int | None) -> Example:
    """A drawn `Sample` or `strategies.Case` as what a side is given."""
    if isinstance(drawn, Sample):
        return Example(drawn.weights, drawn.inputs)
    batch: Batch = drawn.batch(pad)
    return Example(drawn.weights, batch.ids, batch.mask)


def _run(model: BackendModel, example: Example) -> dict[str, Array]:
    """A model's outputs by place: of texts the logits (tokens, vocab) at the mask, named as `PairModels.outputs`."""
    if example.mask is not None:
        return {"logits": model.logits(example.inputs)[example.mask]}
    return {f"output{place}": array for place, array in model.outputs(example.inputs).items()}
