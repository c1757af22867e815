"""Where two models part, and why, as one thing that can be shown."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from parity.backends.protocol import Recordable, Traceable
from parity.checks import forward
from parity.checks.results import Cause, Diagnosis, OperationPair
from parity.checks.results.page import Page
from parity.checks.runner import environment
from parity.diagnose import explain, specimens
from parity.diagnose.locate import Located
from parity.diagnose.locate.hooks import NONE, SegmentResult
from parity.diagnose.located import located
from parity.diagnose.operators import side_by_side
from parity.diagnose.stages import criterion
from parity.diagnose.wording import named
from parity.errors import ParityError
from parity.inputs.arrays import Sample, shapes
from parity.inputs.batch import Batch
from parity.pair.models import PairModels
from parity.pair.pair import Pair


@dataclass(frozen=True, repr=False)
class Place(Page):
    """Where the models of a pair part, and why.

    `heading` says of what: pair, weights and inputs; `more` how it is run again, and in which environment. `operators`
    are the operations of both runs side by side, where they are asked for.
    """

    located: Located
    diagnosis: Diagnosis
    heading: Mapping[str, str]
    more: Mapping[str, Any]
    operators: Sequence[OperationPair] = ()

    def __repr__(self) -> str:
        return f"<Place of {self.heading['pair']}: {self.printed()[-1]}>"

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return not self.located.introduces

    @property
    def where(self) -> tuple[str, ...]:
        """The layers that introduce a difference."""
        return tuple(dict.fromkeys(piece.path for piece in self.located.introduces))

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The causes that are verified: with one corrected, its difference is gone."""
        return self.diagnosis.causes

    def document(self) -> dict[str, Any]:
        """The place as JSON, of which the page is made, too."""
        from parity.report import layer_tree  # a place is drawn by what knows of it

        return layer_tree.document(self.located, self.diagnosis, {**self.heading, **self.more}, self.operators)

    def to_html(self) -> str:
        """One HTML page that needs nothing beside it."""
        from parity.report import html  # jinja2 is loaded only where there is something to render

        return html.located(self.document())

    def printed(self) -> Sequence[str]:
        """The lines that `parity locate` prints."""
        from parity.report import layer_tree

        return layer_tree.lines(self.located, self.diagnosis, self.heading)


def prepared(pair: Pair) -> PairModels:
    """The models of a pair. Raises ParityError where they cannot be located, or built."""
    if reason := pair.lacking((Recordable,)):
        raise ParityError(f"{pair.name} cannot be located: {reason}")
    return PairModels(pair)


def find(corners: PairModels, seed: int, text: str | None, operators: bool, target: str = "") -> Place:
    """Run both sides side by side, on rows drawn from the seed or on this text; `target` as `api.Asked` has it."""
    pair = corners.pair
    weights, ids = specimens.specimen(corners, seed, text)
    corners.load(weights)
    layers, diagnosis = (_of_graph if pair.lacking((Traceable,)) else _of_layers)(corners, Sample(weights, ids))
    beside = side_by_side(corners, weights, ids) if operators else []
    source = shapes(ids) + (f", from seed {seed}" if text is None else f", from {text!r}")
    heading = {
        "pair": pair.name,
        "weights": "the models' own" if pair.own_weights else f"seed {seed}",
        "inputs": source,
    }
    command = f"parity locate {target} --seed {seed}" + (f" --text {shlex.quote(text)}" if text is not None else "")
    if not target:
        command = f"parity.locate(pair, seed={seed}" + (f", text={text!r})" if text is not None else ")")
    more = {"command": command, "environment": environment(corners)}
    return Place(layers, named(diagnosis, pair.sides), heading, more, beside)


def _of_layers(corners: PairModels, example: Sample) -> tuple[Located, Diagnosis]:
    """Which layers introduce a difference, and then which operations."""
    loss = bool(corners.pair.loss)
    layers, diagnosis = located(corners, example.inputs, whole=loss)
    if loss and not layers.introduces:
        layers, diagnosis, gradients = criterion.located(corners, example, layers)
        return layers, explain.of_losses(corners, diagnosis, example, gradients) if layers.introduces else diagnosis
    if layers.introduces:
        diagnosis = explain.by_operation(corners, diagnosis, example)
        diagnosis = explain.of_gradients(corners, layers, diagnosis, example)
    return layers, diagnosis


def _of_graph(corners: PairModels, example: Sample) -> tuple[Located, Diagnosis]:
    """Where a side is a file, which has no layers: the first of its nodes behind which the outputs differ."""
    ids = example.inputs
    mask = None if corners.pad is None else ids != corners.pad
    squares = corners.outputs(Batch(ids, None, mask)).items()
    failing = [verdict for verdict in (square.judge(name) for name, square in squares) if verdict.fails]
    reason = corners.pair.lacking((Traceable,))
    diagnosis = Diagnosis(weaker=corners.reason)
    if failing:
        diagnosis = explain.of_operations(corners, forward, example, reason)
    pieces = [
        SegmentResult(
            path, f"{one.subject} of the model", replace(NONE, max_abs_diff=one.figure), one.word, unlike=one.message
        )
        for path, one in product(diagnosis.where or ("",), failing)
    ]
    return Located([], pieces, [], {}, weaker=corners.reason, sides=corners.sides), diagnosis
