"""How far apart the outputs of two models are in float32: what tells whether other links are worth a whole run."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from parity.backends.build import Build
from parity.backends.protocol import BackendModel
from parity.canonical.layer import Layout
from parity.canonical.weights import Weights, drawn
from parity.dtypes import Array
from parity.inputs.batch import Batch
from parity.pair import transfer


class Nearness:
    """The distance between both sides' float32 outputs by the links in use, measured anew with each call.

    `models` is (side, dtype) -> model, `builds` side -> build with the form in use, `sample` gives the batch and
    `layout` the canonical parameters. A side whose form and layout are as at the last call is not run again.
    """

    def __init__(
        self,
        models: Mapping[tuple[str, str], BackendModel],
        builds: Mapping[str, Build],
        sample: Callable[[], Batch],
        layout: Callable[[], Layout],
    ) -> None:
        self._models, self._builds, self._sample, self._layout = models, builds, sample, layout
        self._known: dict[str, tuple[Any, Any]] = {}  # what -> of what, and that

    def __call__(self) -> float:
        """The largest absolute difference of the floating-point outputs; infinite where it is NaN.

        The float32 models have other weights afterwards.
        """
        layout = self._layout()
        # Drawn once: two sets of links are compared by the same numbers.
        values = self._once("weights", layout, lambda: drawn(layout, Weights(0, 1.0)))
        ours, theirs = (
            self._once(side, (layout, self._builds[side].form), partial(self._made, side, values, layout))
            for side in self._builds
        )
        gaps = [np.abs(array - theirs[place]).max(initial=0) for place, array in ours.items()]
        return float(np.nan_to_num(max(gaps, default=0.0), nan=np.inf))

    def _made(self, side: str, values: Mapping[str, Array], layout: Layout) -> dict[str, Array]:
        """Write these values to a side's float32 model; return its floating-point outputs of the sample, by place."""
        model, batch = self._models[side, "float32"], self._sample()
        transfer.write(model, values, layout)
        if batch.mask is not None:
            return {"logits": model.logits(batch.ids)}
        return {place: array for place, array in model.outputs(batch.ids).items() if array.dtype.kind == "f"}

    def _once(self, what: str, of: Any, make: Callable[[], Any]) -> Any:
        """The last result of `make` under the name `what`, unless `of` has changed since."""
        if what not in self._known or self._known[what][0] != of:
            self._known[what] = of, make()
        return self._known[what][1]
