"""Runs once more, from weights that rounding moves: how far rounding alone could take a result.

One run shows one draw of rounding error, which can be small by chance. Where a verdict comes near a limit, `judge` asks
here for further draws: the float64 model runs from its weights, each times a random number within a lower precision's
eps of 1, and what that changes is what the precision's own rounding could have changed.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache

from parity.backends.protocol import BackendModel
from parity.canonical.weights import Weights, jittered
from parity.compare.judge import REDRAWS
from parity.dtypes import Array

# (side's place, dtype, draw) -> arrays by name: what `Answer.again` gives.
Reruns = Callable[[int, str, int], Mapping[str, Array]]


def reruns(
    models: Mapping[tuple[str, str], BackendModel],
    sides: tuple[str, str],
    loaded: Callable[[], Weights | None],
    run: Callable[[BackendModel], Mapping[str, Array]],
) -> Reruns:
    """`run` in float64 from moved weights, once for each draw; the weights are put back behind it.

    Gives nothing where a side has no float64 or it is not known which weights are loaded; raises RuntimeError where
    others are loaded by the time of the call, because what comes back then would belong to another question.
    """
    weights = loaded()

    @lru_cache(2 * REDRAWS)  # both sides', as often as `judge` draws
    def again(place: int, dtype: str, draw: int) -> Mapping[str, Array]:
        model = models.get((sides[place], "float64"))
        if model is None or weights is None:
            return {}
        if loaded() != weights:
            raise RuntimeError(f"judge an answer before other weights are loaded: {loaded()}, not {weights}")
        model.write(jittered(model.parameters(), dtype, draw))
        try:
            return run(model)
        finally:
            model.copy_parameters_from(models[sides[place], "float32"])

    return again
