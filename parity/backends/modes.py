"""What training mode draws at random and keeps, and how either is switched off."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

Setting = tuple[str, str]  # a layer's path and the name of what it has there


class Modes(Protocol):
    """A model's settings that only training mode heeds, by the paths that its layers go by."""

    def rates(self) -> dict[Setting, float]:
        """How much each layer draws, of those that draw: the rate of a dropout, the deviation of a noise."""

    def dropped(self, run: Callable[[], Any]) -> list[float]:
        """The rates of the dropouts in a run, in order of calls, functions among them; as far as they can be seen."""

    def momenta(self) -> dict[Setting, float]:
        """The share of what was in each running statistic; none where it is a plain mean of all batches."""

    def having(self, settings: Mapping[Setting, float]) -> AbstractContextManager[None]:
        """Inside, these settings have other values."""

    def still(self) -> AbstractContextManager[None]:
        """Inside, the framework's own dropout and noise do nothing."""

    def frozen(self) -> AbstractContextManager[None]:
        """Inside, batch normalization in training mode does what it does in evaluation mode: rows do not meet."""

    def observed(self) -> AbstractContextManager[None]:
        """Inside, running statistics may change, and take in biased variances, as Keras's do; they are put back."""

    def seeded(self) -> AbstractContextManager[None]:
        """Inside, what is drawn is the same every time."""

    def state(self) -> bytes:
        """The random generators' state, as far as a framework shows it: it changes with a call that draws."""
