"""What holds inside a scope: whether anything is compiled."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

eagerly = ContextVar("eagerly", default=False)  # whether nothing is to be compiled now


@contextlib.contextmanager
def eager() -> Iterator[None]:
    """Inside, nothing is compiled."""
    before = eagerly.set(True)
    try:
        yield
    finally:
        eagerly.reset(before)
