"""A function of tensors, compiled where it can be.

Line for line beside `parity/backends/tensorflow/running.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from parity.backends.jax.scopes import eagerly
from parity.backends.keras.policy import holding


class Running:
    """Runs a function compiled for the shapes of its inputs; one that has to know their numbers as it is.

    It is known by that it raises in the first, and does not in the second.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        variables: Callable[[], Any] = list,
        ids: int = 0,  # noqa: ARG002 each shape is compiled for itself
        alone: bool = False,  # noqa: ARG002 as above
    ) -> None:
        self._function, self._variables = function, variables
        self.compiled = jax.jit(self._held)  # of the variables' values, and the function's arguments
        self._fixed = False

    def __call__(self, *args: Any) -> Any:
        if eagerly.get() or self._fixed:
            return self._function(*args)
        try:
            return self.compiled([variable.value for variable in self._variables()], *args)
        except Exception:  # noqa: BLE001 what is no matter of compiling is raised again below
            result = self._function(*args)
        self._fixed = True
        return result

    def _held(self, values: Sequence[Any], *args: Any) -> Any:
        """The function with the variables' values as an argument: compiled, it would keep the first ones for good."""
        with holding(self._variables(), values):
            return self._function(*args)
