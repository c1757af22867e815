"""What a torch model does, operation by operation. Line for line beside tensorflow.py."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils import _pytree as pytree

from parity.backends.nesting import places
from parity.backends.operations import Edit, Leaf, Operation, Trace, frames, users

FRAMEWORK = (str(Path(torch.__file__).parent),)


class Recorded:
    """A run of a function of tensors, operation by operation as torch's users write them, which can be run again.

    `layers` is the path of each layer by its id, `named` the tensors that no operation makes and that have a name.
    """

    def __init__(
        self,
        run: Callable[[], Any],
        precisely: Callable[[], AbstractContextManager[None]],
        layers: Mapping[int, str],
        named: Mapping[str, Any],
    ) -> None:
        self.trace, self._precisely, self._layers = Trace(), precisely, layers
        self._calls: list[_Call] = []
        self._edits: tuple[Edit, ...] = ()  # that are made whatever is run again
        self._places: dict[int, int] = {}  # id of a tensor -> its value's place
        self._kept: list[Any] = []  # so that no id comes again
        self._tensors: dict[int, Any] = {}  # place -> tensor, of a leaf
        self._known = {id(tensor): name for name, tensor in named.items()}
        with precisely(), torch.no_grad(), _Recording(self._record):
            output = run()
        self.trace.outputs = {
            place: self._place(tensor) for place, tensor in places(output).items() if torch.is_tensor(tensor)
        }

    def leaves(self, operation: int) -> list[Leaf]:
        """As `Editable`."""
        call = self._calls[operation]
        both = zip(call.arguments, call.leaves, strict=True)
        return [Leaf(argument, call.refs.get(at), plain) for at, (argument, plain) in enumerate(both)]

    def defaults(self, operation: int) -> dict[str, Any]:
        """As `Editable`."""
        call = self._calls[operation]
        known = _parameters(call.function, len(set(call.arguments))).items()
        return {n: v for n, v in known if n not in call.arguments and isinstance(v, bool | int | float | str)}

    def results(self, operation: int, edits: Sequence[Edit]) -> list[Any]:
        """As `Editable`."""
        call, values = self._calls[operation], self.trace.values
        tensors = {place: self._tensors[place] for place in call.refs.values() if place in self._tensors}
        tensors |= {place: _tensor(values[place].array) for place in call.refs.values() if place not in tensors}
        with self._precisely():
            return [_array(tensor) for tensor in call.run(tensors, self._of(operation, edits))]

    def again(self, edits: Sequence[Edit]) -> Trace:
        """As `Editable`."""
        tensors = dict(self._tensors)
        with self._precisely():
            for number, call in enumerate(self._calls):
                made = call.run(tensors, self._of(number, edits))
                tensors |= zip(call.makes, made, strict=True)
        found = Trace(operations=self.trace.operations, outputs=self.trace.outputs)
        for place, value in enumerate(self.trace.values):
            found.add(_array(tensors[place]), value.leaf)
        return found

    def edited(self, edits: Sequence[Edit]) -> "Recorded":
        """As `Editable`."""
        other = copy(self)
        other.trace, other._edits = self.again(edits), (*self._edits, *edits)
        return other

    def _of(self, operation: int, edits: Sequence[Edit]) -> list[Edit]:
        return [edit for edit in (*self._edits, *edits) if edit.operation == operation]

    def _record(self, function: Any, args: Any, kwargs: Any) -> Any:
        leaves, nesting = pytree.tree_flatten((args, kwargs))
        written = _writes(function)
        refs = {at: self._place(leaf) for at, leaf in enumerate(leaves) if torch.is_tensor(leaf)}
        if written and refs and (first := next(iter(refs.values()))) in self._tensors:
            self._tensors[first] = self._tensors[first].detach().clone()  # what is written is no longer what it was
        taped = torch.is_grad_enabled()
        result = function(*args, **kwargs)
        if written and result is None and refs:
            result = leaves[next(iter(refs))]
        tensors = [leaf for leaf in pytree.tree_leaves(result) if torch.is_tensor(leaf)]
        if not tensors:
            return result
        makes = tuple(self._made(tensor) for tensor in tensors)
        plain = [None if at in refs else leaf for at, leaf in enumerate(leaves)]
        arguments = _arguments(function, args, kwargs)
        self._calls.append(_Call(function, arguments, plain, refs, nesting, taped, makes))
        takes = tuple((arguments[at], place) for at, place in refs.items())
        settings: dict[str, Any] = {}
        for at, leaf in enumerate(leaves):
            if at not in refs:
                settings.setdefault(arguments[at], []).append(leaf)
        settings = {name: of[0] if len(of) == 1 else of for name, of in settings.items()}
        stack = list(frames())
        line = users(((frame.f_code.co_filename, frame.f_lineno) for frame in stack), FRAMEWORK)
        self.trace.operations.append(Operation(_name(function), takes, makes, settings, self._layer(stack), line))
        return result

    def _layer(self, stack: Iterable[Any]) -> str:
        for frame in stack:
            if frame.f_code.co_varnames[:1] == ("self",):
                path = self._layers.get(id(frame.f_locals.get("self")))
                if path is not None:
                    return path
        return ""

    def _place(self, tensor: Any) -> int:
        """The place of a tensor's value; one that nothing made is a leaf."""
        if id(tensor) not in self._places:
            place = self._keep(tensor, self._known.get(id(tensor), "constant"))
            self._tensors[place] = tensor
        return self._places[id(tensor)]

    def _made(self, tensor: Any) -> int:
        return self._keep(tensor, "")

    def _keep(self, tensor: Any, leaf: str) -> int:
        self._kept.append(tensor)
        self._places[id(tensor)] = place = self.trace.add(_array(tensor), leaf)
        return place


class _Recording(TorchFunctionMode):  # type: ignore[misc]  # torch's class has no types
    def __init__(self, record: Callable[[Any, Any, Any], Any]) -> None:
        super().__init__()
        self._record = record

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._record(function, args, kwargs or {})


@dataclass(frozen=True)
class _Call:
    """One call, to be run again: its arguments' leaves, and the places of those that are values of the trace."""

    function: Any
    arguments: list[str]
    leaves: list[Any]
    refs: dict[int, int]
    nesting: Any
    taped: bool
    makes: tuple[int, ...]

    def run(self, tensors: Mapping[int, Any], edits: Sequence[Edit]) -> list[Any]:
        """The tensors that it makes of these, by their places, with its own edits."""
        leaves = [tensors[self.refs[at]] if at in self.refs else leaf for at, leaf in enumerate(self.leaves)]
        more, instead = {}, {}
        for edit in edits:
            given = [_array(leaf) if torch.is_tensor(leaf) else leaf for leaf in leaves]
            with np.errstate(all="ignore"):
                new = edit.change(given)
            new = _tensor(new) if isinstance(new, np.ndarray) else new
            if edit.at is None:
                instead[edit.result] = new
            elif isinstance(edit.at, str):
                more[edit.at] = new
            else:
                leaves[edit.at] = new
        if _writes(self.function):
            first = next(iter(self.refs))
            leaves[first] = leaves[first].clone() if leaves[first].is_leaf else leaves[first]
        args, kwargs = pytree.tree_unflatten(leaves, self.nesting)
        with torch.set_grad_enabled(self.taped):
            result = self.function(*args, **kwargs, **more)
        if result is None:
            result = leaves[next(iter(self.refs))]
        made = [leaf for leaf in pytree.tree_leaves(result) if torch.is_tensor(leaf)]
        return [instead.get(place, tensor) for place, tensor in enumerate(made)]


def _writes(function: Any) -> bool:
    """Whether it changes its first argument."""
    name = getattr(function, "__name__", "")
    return name == "__setitem__" or name.startswith("__i") or (name.endswith("_") and not name.endswith("__"))


def _name(function: Any) -> str:
    whole = resolve_name(function) or getattr(function, "__name__", str(function))
    parts = whole.removesuffix(".__get__").split(".")
    return f"{parts[-1]}"


def _arguments(function: Any, args: Any, kwargs: Any) -> list[str]:
    """The argument's name of each leaf."""
    paths, _ = pytree.tree_flatten_with_path((args, kwargs))
    names = list(_parameters(function, len(args)))
    known = [*names[: len(args)], *(str(place) for place in range(len(names), len(args)))]
    return [str(path[1].key) if path[0].idx else known[path[1].idx] for path, _ in paths]


@lru_cache(512)
def _parameters(function: Any, count: int) -> dict[str, Any]:
    """Argument -> default, None where there is none: by the signature, or the schema of the operator of that name."""
    try:
        parameters = inspect.signature(function).parameters.values()
        if all(of.kind in (of.POSITIONAL_OR_KEYWORD, of.KEYWORD_ONLY) for of in parameters):
            return {of.name: None if of.default is of.empty else of.default for of in parameters}
    except (TypeError, ValueError):
        pass
    schemas = torch._C._jit_get_schemas_for_operator(f"aten::{getattr(function, '__name__', '')}")
    for schema in schemas:  # one of several forms: the first that takes as many
        if sum(not argument.kwarg_only for argument in schema.arguments) >= count:
            return {argument.name: argument.default_value for argument in schema.arguments}
    return {}


def _array(tensor: Any) -> Any:
    tensor = tensor.detach()
    if tensor.is_sparse or tensor.is_nested or tensor.is_complex():
        return np.empty(0)
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _tensor(array: Any) -> Any:
    return torch.from_numpy(np.ascontiguousarray(array))
