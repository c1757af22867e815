"""One call of a torch function as a run has made it, to be made again: with other values, or with edits of its own."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from parity.backends.operations import Edit
from parity.backends.torch import signatures


@dataclass(frozen=True)
class Call:
    """One call, to be run again: its arguments' leaves, their names, and `refs`, leaf -> its value's place in a trace.

    `nesting` says how the leaves make up (args, kwargs), and `arguments` has the name of each one's argument; a leaf in
    `refs` is None in `leaves`, since its tensor comes with each run. `taped` is whether autograd was on, `makes` the
    results' places; `bare` are the leaves without their numbers.
    """

    function: Any
    arguments: list[str]
    leaves: list[Any]
    refs: dict[int, int]
    nesting: Any
    taped: bool
    makes: tuple[int, ...]
    bare: list[Any]

    @cached_property
    def dry(self) -> bool:
        """Whether torch can tell what it makes without any numbers."""
        args, kwargs = pytree.tree_unflatten(self.bare, self.nesting)
        try:
            return bool(signatures.dry(self.function, args, kwargs))
        except Exception:  # noqa: BLE001 an operation that reads numbers, or that has no such form
            return False

    @property
    def writes(self) -> bool:
        """Whether it changes its first argument, by its name or by `inplace=True`."""
        named = zip(self.arguments, self.leaves, strict=True)
        return signatures.writes(self.function) or ("inplace", True) in named

    def run(self, tensor: Callable[[int], Any], edits: Sequence[Edit]) -> list[Any]:
        """The tensors that it makes of these, by their places, with its own edits. ValueError where they misfit."""
        leaves = [tensor(self.refs[at]) if at in self.refs else leaf for at, leaf in enumerate(self.leaves)]
        for edit in edits:
            if edit.take is not None and isinstance(edit.at, int):
                leaves[edit.at] = tensor(edit.take)
        arrays = [array_of(leaf) if torch.is_tensor(leaf) else leaf for leaf in leaves] if edits else []
        function, named, instead = self.function, dict[str, Any](), dict[int, Any]()
        for edit in edits:
            if edit.called:
                function = signatures.named(edit.called)
            elif edit.change is not None:
                with np.errstate(all="ignore"):
                    new = edit.change([*arrays, *(array_of(tensor(place)) for place in edit.beside)])
                new = tensor_of(new) if isinstance(new, np.ndarray) else new
                if edit.at is None:
                    instead[edit.result] = new
                elif isinstance(edit.at, str):
                    named[edit.at] = new
                else:
                    leaves[edit.at] = new
        if self.writes:
            first = next(iter(self.refs))
            leaves[first] = leaves[first].clone() if leaves[first].is_leaf else leaves[first]
        args, kwargs = pytree.tree_unflatten(leaves, self.nesting)
        args, kwargs = self._given(function, args, kwargs, named)
        if not signatures.fits(function, args):
            raise ValueError(f"{signatures.name(function)} is given arrays that do not fit together")
        other = edits or any(leaf.shape != self.bare[at].shape for at, leaf in self._tensors(leaves))
        if other and self.dry and (why := signatures.refused(function, args, kwargs)):
            raise ValueError(why)
        with torch.set_grad_enabled(self.taped), warnings.catch_warnings(action="ignore"):  # nobody wrote what is tried
            result = function(*args, **kwargs)
        if result is None:
            result = leaves[next(iter(self.refs))]
        tensors = [leaf for leaf in pytree.tree_leaves(result) if torch.is_tensor(leaf)]
        for edit in edits:
            if edit.after is not None:
                with np.errstate(all="ignore"):  # a number may lie where what is tried has no value
                    instead[edit.result] = tensor_of(edit.after(array_of(tensors[edit.result])))
        return [instead.get(place, tensor) for place, tensor in enumerate(tensors)]

    def _tensors(self, leaves: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        return ((at, leaf) for at, leaf in enumerate(leaves) if at in self.refs)

    def _given(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Any, changes: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """What a function is called with: some arguments are others, and another function has not all of them."""
        names = list(signatures.known(self.function, args, kwargs))[: len(args)]
        args, kwargs = signatures.changed(self.function, args, kwargs, changes)
        if function is not self.function:
            named = dict(zip(names[1:], args[1:], strict=False)) | kwargs
            known = signatures.known(function, args[:1], [name for name in named if name in ("dim", "keepdim")])
            args, kwargs = args[:1], {name: value for name, value in named.items() if name in known}
        return args, kwargs


def array_of(tensor: torch.Tensor) -> Any:
    """A tensor's numbers, float32 for bfloat16, without a copy; empty of one that has none that can be compared."""
    tensor = tensor.detach()
    if tensor.is_sparse or tensor.is_nested or tensor.is_complex():
        return np.empty(0)
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def tensor_of(array: Any) -> torch.Tensor:
    """The tensor of an array, of no axes too."""
    return torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))  # which made one axis of none
