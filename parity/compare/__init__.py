"""Two arrays -> a verdict: divergence, the float32/float64 square, every tolerance there is. NumPy only.

The room's name is that of a function as well: `parity.compare(a, b)` is `parity.pair.comparison.compare`.
"""

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """A package that can be called."""

    def __call__(self, first: Any, second: Any, **options: Any) -> Any:
        from parity.pair.comparison import compare

        return compare(first, second, **options)


sys.modules[__name__].__class__ = _Room
