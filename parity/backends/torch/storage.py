"""The memory of variables, given back for a while.

Line for line beside `parity/backends/tensorflow/storage.py`.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from parity.canonical.layer import held


def discard_compiled() -> None:
    """As `Backend`: nothing is compiled."""


@contextlib.contextmanager
def released(model: Any) -> Iterator[None]:
    """As `Backend`; what is no parameter keeps its memory, and so does what a parameter shares with it."""
    variables = held(model.layers)
    others = [variable for _, variable in model.variables() if id(variable) not in set(map(id, variables))]
    addresses = {variable.untyped_storage().data_ptr() for variable in others}
    own = {storage.data_ptr(): storage for storage in (variable.untyped_storage() for variable in variables)}
    # By storages: one that several parameters share is released once.
    sizes = {
        place: storage.nbytes() for place, storage in own.items() if storage.resizable() and place not in addresses
    }
    for place in sizes:
        own[place].resize_(0)
    try:
        yield
    finally:
        for place, size in sizes.items():
            own[place].resize_(size)
