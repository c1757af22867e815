"""Two arrays -> a verdict: divergence, the float32/float64 square, every tolerance there is. NumPy only.

This room is the judge, and knows nothing of models or frameworks: arrays come in, words and figures go out. An array
goes through it from top to bottom:

    divergence     two arrays -> how far they are apart: one pass in chunks, by `kernels_numpy` or `kernels_numba`
    square         a `PrecisionSquare`: both sides' arrays in every precision, and the divergences between them
    judge          a square -> a `Verdict`; the limits, with what each was measured at
    alone          the same for two arrays of which there is no float64
    exact, argmax  what must be equal bit for bit; which logit is the largest
    computed       what has to be so but for the roundings of a formula that both sides compute
    chance         two samples of what is drawn at random
    tables         constants that one side has in float32 and the other in float64
    verdict        what a comparison came to, as data
    messages       the same in words; `picture`, small enough to be drawn

A limit, a tolerance or a ratio that is not in this room is a mistake: `tests/test_house.py` looks for them.

The room's name is that of a function as well: `parity.compare(a, b)` is `parity.pair.comparison.compare`.
"""

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """A package that can be called: `import parity.compare` would else hide the function `parity.compare` behind the
    package.
    """

    def __call__(self, first: Any, second: Any, **options: Any) -> Any:
        """Compare two outputs: see `parity.pair.comparison.compare`, which has the options and the errors."""
        # Imported at the call: `pair` is built on this room, so that the import at the top would be a circle.
        from parity.pair.comparison import compare

        return compare(first, second, **options)


sys.modules[__name__].__class__ = _Room
