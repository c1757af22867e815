"""What holds inside a scope: whether anything is compiled, and what variables hold."""

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import keras
from keras.src.backend.common.stateless_scope import get_stateless_scope

eagerly = ContextVar("eagerly", default=False)  # whether nothing is to be compiled now


@contextlib.contextmanager
def eager() -> Iterator[None]:
    """Inside, nothing is compiled."""
    before = eagerly.set(True)
    try:
        yield
    finally:
        eagerly.reset(before)


@contextlib.contextmanager
def holding(variables: Sequence[Any], values: Sequence[Any]) -> Iterator[None]:
    """Inside, these variables have these values, and those of a scope around it their own; what is assigned is lost."""
    outer = get_stateless_scope()
    with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)) as scope:
        scope.state_mapping = {**(outer.state_mapping if outer else {}), **scope.state_mapping}
        yield
