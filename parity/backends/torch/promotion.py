"""Requests for float32 read as requests for float64, in torch; TensorFlow's stand in its own `precision`.

A model may compute a norm in float32 on purpose. Run in float64, that part rounds as float32 does, and the square's
lower edge would show it as a difference of meaning. So where such a model runs in float64, each request for float32 (a
dtype that is named, `.float()`, a list made a tensor) is answered with float64.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

WIDE = {torch.float32: torch.float64, torch.complex64: torch.complex128}


class Dispatching(TorchDispatchMode):
    """A mode that keeps torch's compiler out of it, and imports it, which takes two seconds, only if a model has."""

    def __new__(cls, *_: Any) -> Any:
        mode: Any = cls
        return super().__new__(_uncompiled(mode) if "torch._dynamo" in sys.modules else cls)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


@cache
def _uncompiled(mode: Any) -> Any:
    """A subclass of the mode whose own operations are not compiled."""
    names = {"__torch_dispatch__": mode.__torch_dispatch__, "_should_skip_dynamo": classmethod(lambda _: True)}
    return type(mode.__name__, (mode,), names)


class Promotion(Dispatching):
    """While it is on, a request for float32 is one for float64: a norm that is computed in float32 on purpose.

    `asked` says whether there was one. Views of the same bits as another dtype stay what they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked = False

    def __enter__(self) -> Any:
        self._tensor, torch.tensor = torch.tensor, self._exact
        return super().__enter__()

    def __exit__(self, *error: Any) -> Any:
        torch.tensor = self._tensor
        return super().__exit__(*error)

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        # A view reads the same bits as another type: promoted, it would read others.
        if func is torch.ops.aten.view.dtype or _nothing(func, args):
            return func(*args, **(kwargs or {}))
        if func is torch.ops.aten.lift_fresh.default and args[0].dtype in WIDE:  # an array's, or a list's
            self.asked = True
            return func(args[0].to(WIDE[args[0].dtype]))
        return func(*map(self._read, args), **{name: self._read(value) for name, value in (kwargs or {}).items()})

    def _read(self, value: Any) -> Any:
        if not isinstance(value, torch.dtype) or value not in WIDE:
            return value
        self.asked = True
        return WIDE[value]

    def _exact(self, data: Any, *, dtype: Any = None, **options: Any) -> Any:
        """`torch.tensor`, which would round the numbers of a list before anybody is told."""
        return self._tensor(data, dtype=self._read(dtype), **options)


def _nothing(func: Callable[..., Any], args: Sequence[Any]) -> bool:
    """Whether a tensor is asked for that holds no number: what reads a file gives it the file's own bits."""
    return func is torch.ops.aten.empty.memory_format and 0 in args[0]


class Promoting:
    """Promotes what a model does where it asks for float32; where it did not the first time, it is not slowed down."""

    def __init__(self, on: bool) -> None:
        self.on, self._plain = on, set[str]()

    @contextlib.contextmanager
    def __call__(self, what: str = "") -> Iterator[None]:
        """`what` is known by its name; without one it may be something else each time."""
        if not self.on or what in self._plain:
            yield
            return
        with Promotion() as mode:
            yield
        if what and not mode.asked:
            self._plain.add(what)


def widen(module: nn.Module) -> None:
    """Make float64 of what a builder made float32 in spite of all: the weights of a file, say."""
    if isinstance(module, nn.Module):
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.dtype in WIDE:
                tensor.data = tensor.data.to(WIDE[tensor.dtype])
