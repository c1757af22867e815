"""A function of tensors, run without a tape where it can be.

Line for line beside `parity/backends/tensorflow/running.py`.
"""

from collections.abc import Callable
from typing import Any

import torch


class Running:
    """Runs a function without a tape, where nobody wants one; a function that takes derivatives itself gets one.

    It is known by that it raises without one, and does not with one.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function, self._taped = function, False

    def __call__(self, *args: Any) -> Any:
        with torch.set_grad_enabled(torch.is_grad_enabled() or self._taped):
            try:
                return self._function(*args)
            except RuntimeError:
                if torch.is_grad_enabled():
                    raise
        with torch.enable_grad():
            results = self._function(*args)
        self._taped = True
        return results
