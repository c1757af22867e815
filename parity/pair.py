"""Pair: two builds of one model, one tokenizer, one set of weights; Corners: its four models."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parity import backends, layers, transfer
from parity.backends import PRECISIONS, SIDES
from parity.errors import ParityError
from parity.layers import Array, Weights
from parity.square import Square
from parity.tokenizer import Tokenizer

ABSENT = np.empty(0)  # stands for a gradient that a side does not have


@dataclass(frozen=True)
class Pair:
    """Two models that are meant to be the same.

    `torch` and `tensorflow` build an untrained model each: `() -> torch.nn.Module` and
    `() -> keras.Model`, from ids (batch, time) int64 to logits (batch, time, vocab). Twin layers
    bear the same name. A check builds each side twice, in float32 and float64, so a builder must
    not fix a dtype; it must be importable (not a lambda), because a reload is proved in a fresh
    process.
    """

    name: str
    torch: Callable[[], Any]
    tensorflow: Callable[[], Any]
    tokenizer: Tokenizer | str | Path

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


class Corners:
    """The four models of a pair, which share weights; every verb runs on all of them."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.tokenizer = pair.vocabulary()
        self.backends = backends.load()
        self.models = {
            (side, dtype): self.backends[side].Model(pair.builds[side], dtype, self.tokenizer.pad)
            for dtype in PRECISIONS
            for side in SIDES
        }
        self.layout = transfer.agree(
            {side: transfer.layout(side, self.models[side, dtype]) for side in SIDES for dtype in PRECISIONS}
        )
        self._loaded: Weights | None = None
        for (side, dtype), model in self.models.items():
            self._probe(side, dtype, model)

    def _probe(self, side: str, dtype: str, model: backends.Corner) -> None:
        """Raise ParityError unless the model takes every id and gives logits as it should."""
        ids = np.array([[self.tokenizer.vocab - 1, self.tokenizer.pad]])
        try:
            logits = model.logits(ids)
        except Exception as error:  # whatever a user's model raises
            raise ParityError(
                f"the {side} model cannot be called on ids (batch, time) up to {ids.max()}: "
                f"{type(error).__name__}: {error}"
            ) from error
        told = f"{logits.shape} {logits.dtype}"
        if logits.dtype != dtype or logits.ndim != 3 or logits.shape[:2] != (1, 2):
            raise ParityError(f"the {side} model gives {told} for ids (1, 2), but should give (1, 2, vocab) {dtype}")
        if logits.shape[2] != self.tokenizer.vocab:
            raise ParityError(
                f"the {side} model gives {told} for ids (1, 2), but the tokenizer has {self.tokenizer.vocab} pieces"
            )

    def load(self, weights: Weights) -> dict[str, Array]:
        """Set all four models to the same drawn float32 values, and return those."""
        values = layers.draw(self.layout, weights)
        for dtype in PRECISIONS:
            cast = {name: array.astype(dtype, copy=False) for name, array in values.items()}
            for side in SIDES:
                transfer.write(self.models[side, dtype], cast, self.layout)
        self._loaded = weights
        return values

    def ensure(self, weights: Weights) -> None:
        """As `load`, unless these are the weights that were loaded last."""
        if self._loaded != weights:
            self.load(weights)

    def logits(self, ids: Array, mask: Array) -> Square:
        """Logits (tokens, vocab) at the positions of `mask`."""
        return self._square(lambda model: model.logits(ids)[mask])

    def loss(self, ids: Array, targets: Array) -> Square:
        """The masked mean loss, a scalar."""
        return self._square(lambda model: model.loss(ids, targets))

    def gradients(self, ids: Array, targets: Array) -> dict[str, Square]:
        """Canonical gradients by parameter. One that a side lacks is an empty array there."""
        found = {corner: model.gradients(ids, targets) for corner, model in self.models.items()}
        names = {name for gradients in found.values() for name in gradients}
        return {
            name: Square.of(found[side, dtype].get(name, ABSENT) for dtype in PRECISIONS for side in SIDES)
            for name in self.layout
            if name in names
        }

    def _square(self, run: Callable[[backends.Corner], Array]) -> Square:
        return Square.of(run(self.models[side, dtype]) for dtype in PRECISIONS for side in SIDES)
