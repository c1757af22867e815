"""What Keras builds and computes in, what stands in a library's place meanwhile, what variables hold: for a while."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras.src.backend.common.stateless_scope import get_stateless_scope


@contextlib.contextmanager
def of(dtype: str, patches: Sequence[tuple[Any, str, Callable[..., Any]]]) -> Iterator[None]:
    """Inside, Keras and the legacy tf_keras build and compute in this dtype, and patches are in place.

    A patch (owner, name, make) puts `make(original)` where `owner.name` stood. Everything is put back behind it.
    """
    before = keras.config.floatx(), keras.config.dtype_policy()
    legacy = sys.modules.get("tf_keras")  # has settings of its own
    old = (legacy.backend.floatx(), legacy.mixed_precision.global_policy()) if legacy else None
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    if legacy:
        legacy.backend.set_floatx(dtype)
        legacy.mixed_precision.set_global_policy(dtype)
    try:
        with contextlib.ExitStack() as stack:
            for owner, name, patch in patches:
                original = getattr(owner, name)
                stack.callback(setattr, owner, name, original)
                setattr(owner, name, patch(original))
            yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])
        if legacy and old:
            legacy.backend.set_floatx(old[0])
            legacy.mixed_precision.set_global_policy(old[1])


@contextlib.contextmanager
def kept(patched: Sequence[tuple[Any, str]]) -> Iterator[None]:
    """Behind it, the dtype is as it was, and what stands under these names of their owners."""
    floatx, legacy = keras.config.floatx(), sys.modules.get("tf_keras")  # the policies are by thread
    old = legacy.backend.floatx() if legacy else ""
    were = [(owner, name, getattr(owner, name)) for owner, name in patched]
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        if legacy:
            legacy.backend.set_floatx(old)
        for owner, name, was in were:
            setattr(owner, name, was)


@contextlib.contextmanager
def holding(variables: Sequence[Any], values: Sequence[Any]) -> Iterator[None]:
    """Inside, these variables have these values, and those of a scope around it their own; what is assigned is lost."""
    outer = get_stateless_scope()
    with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)) as scope:
        scope.state_mapping = {**(outer.state_mapping if outer else {}), **scope.state_mapping}
        yield
