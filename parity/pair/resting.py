"""Models without their parameters, where memory is scarce: what is not asked for a while need not be held."""

import contextlib
from collections.abc import Iterator, Mapping

from parity.backends.protocol import BackendModel
from parity.canonical.weights import Each
from parity.dtypes import Array, transport_dtype
from parity.pair import memory
from parity.pair.assembly import Assembly
from parity.pair.shelf import Shelf


@contextlib.contextmanager
def alone(corners: Assembly, model: BackendModel, values: Mapping[str, Array]) -> Iterator[None]:
    """Inside, where memory is scarce, this model has the values and the others none; behind it, no one has any."""
    if not corners.lean:
        yield
        return
    with _released(corners, [other for other in corners.models.values() if other is not model]):
        model.write(Each(values, lambda name: values[name].astype(transport_dtype(model.dtype), copy=False)))
        yield


@contextlib.contextmanager
def resting(corners: Assembly) -> Iterator[None]:
    """Inside, where memory is scarce, no model has any; behind it, each has its own again.

    Those of a pair that keeps the weights that its models have stay: a builder may hand out one of these models.
    """
    if not corners.lean or corners.pair.own_weights:
        yield
        return
    first, shelf = {side: corners.models[side, "float32"] for side in corners.sides}, Shelf(corners.lean)
    values = {side: shelf.keep(model.parameters().items()) for side, model in first.items()}
    try:
        with _released(corners, [*corners.models.values()]):
            yield
    finally:
        memory.give_back()  # models that were built inside
        for side, model in first.items():
            model.write(values[side])
        corners.spread()


@contextlib.contextmanager
def _released(corners: Assembly, models: list[BackendModel]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for (side, _), model in corners.models.items():
            if any(model is other for other in models):
                stack.enter_context(corners.backends[side].released(model))
        memory.give_back()
        yield
