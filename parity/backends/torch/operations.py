"""What a torch model does, operation by operation.

Its counterpart is `parity/backends/tensorflow/operations.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree as pytree

from parity.backends.nesting import places
from parity.backends.operations import GRADIENTS, NOTHING, Edit, Leaf, Operation, Pull, Trace, Turns, frames, users
from parity.backends.torch import signatures
from parity.backends.torch.backward import Pulling, Trained
from parity.backends.torch.calls import Call, array_of, tensor_of
from parity.backends.torch.unfused import Recording
from parity.dtypes import Array, Outputs

FRAMEWORK = (str(Path(torch.__file__).parent),)


class Recorded:
    """A run of a function of tensors, operation by operation as torch's users write them, which can be run again.

    `layers` is the path of each layer by its id, `named` the tensors that no operation makes and that have a name. Of
    the form "unfused" it has the parts of functions that do several things at once, of `GRADIENTS` gradients, `trained`
    of them by parameters.
    """

    def __init__(
        self,
        run: Callable[[], Any],
        precisely: Callable[[], AbstractContextManager[None]],
        layers: Mapping[int, str],
        named: Mapping[str, Any],
        form: str = "",
        pulls: Sequence[Pull] = (),
        trained: Trained = lambda _: {},
    ) -> None:
        self._once_more = partial(Recorded, run, precisely, layers, named, form, trained=trained)
        self.trace, self._precisely, self._layers = Trace(), precisely, layers
        self._calls: list[Call] = []
        self._edits: tuple[Edit, ...] = ()  # that are made whatever is run again
        self._places: dict[int, int] = {}  # id of a tensor -> its value's place
        self._kept: list[Any] = []  # so that no id comes again
        self._tensors: dict[int, Any] = {}  # place -> tensor, of a leaf
        self._known = {id(tensor): name for name, tensor in named.items()}
        for name, tensor in named.items():
            if name.startswith("input"):  # what nothing takes, too
                self._place(tensor)
        self._pulling = Pulling(pulls, trained) if form == GRADIENTS else None
        with precisely(), torch.set_grad_enabled(form == GRADIENTS), Recording(self._record, form == "unfused"):
            output = self._pulling.running(run, self._places) if self._pulling else run()
        tensors = {place: tensor for place, tensor in places(output).items() if torch.is_tensor(tensor)}
        self.trace.outputs = {place: self._place(tensor) for place, tensor in tensors.items()}
        for place, tensor in tensors.items():
            of = self.trace.outputs[place]
            self.trace.values[of] = Trace.value(array_of(tensor), self.trace.values[of].leaf, whole=True)
        if self._pulling:
            self._pulling.into(self.trace, self._kept)

    def leaves(self, operation: int) -> list[Leaf]:
        """As `Editable`."""
        call = self._calls[operation]
        both = zip(call.arguments, call.leaves, strict=True)
        return [Leaf(argument, call.refs.get(at), plain) for at, (argument, plain) in enumerate(both)]

    def defaults(self, operation: int) -> dict[str, Any]:
        """As `Editable`."""
        call = self._calls[operation]
        args, kwargs = pytree.tree_unflatten(call.leaves, call.nesting)
        known = signatures.known(call.function, args, kwargs).items()
        return {n: v for n, v in known if n not in call.arguments and isinstance(v, bool | int | float | str)}

    def siblings(self, operation: int) -> list[str]:
        """As `Editable`."""
        name = self.trace.operations[operation].name
        return [other for group in signatures.SIBLINGS if name in group for other in group if other != name]

    def results(self, operation: int, edits: Sequence[Edit]) -> list[Any]:
        """As `Editable`."""
        with self._precisely():
            tensors = self._calls[operation].run(self._tensor, self._of(operation, edits))
            return [array_of(tensor) for tensor in tensors]

    def through(self, operation: int, array: Array) -> Any:
        """As `Editable`."""
        call = self._calls[operation]
        with self._precisely():
            [result] = call.run(self._tensor, [Edit(operation, next(iter(call.refs)), lambda _: array)])
            return array_of(result)

    def again(self, edits: Sequence[Edit]) -> Trace:
        """As `Editable`: what depends on an edited operation; everything where a value was not kept."""
        edited = {edit.operation for edit in edits}
        whole = any(call.taped for call in self._calls) or any(value.array is None for value in self.trace.values)
        if whole:
            edited = set(range(len(self._calls)))
        computed: dict[int, Any] = {}
        failed = set[int]()  # values that cannot be made then
        with self._precisely():
            for number, call in enumerate(self._calls):
                if not failed.isdisjoint(call.refs.values()):
                    failed |= {*call.makes}
                elif number in edited or not computed.keys().isdisjoint(call.refs.values()):
                    try:
                        own = self._of(number, edits)
                        computed |= zip(call.makes, call.run(partial(self._made_of, computed), own), strict=True)
                        for turns in (edit.turns for edit in own if edit.turns):
                            computed |= self._turned(turns, computed)
                    except Exception:  # noqa: BLE001 whatever an edit makes impossible, and what comes of it
                        failed |= {*call.makes}
        trace = Trace([*self.trace.values], self.trace.operations, self.trace.outputs)
        for place in failed:
            trace.values[place] = NOTHING
        outputs = {*trace.outputs.values()}
        for place, tensor in computed.items():
            trace.values[place] = Trace.value(array_of(tensor), whole=place in outputs)
        return trace

    def edited(self, edits: Sequence[Edit]) -> "Recorded":
        """As `Editable`."""
        other = copy(self)
        other.trace, other._edits = self.again(edits), (*self._edits, *edits)
        return other

    def pulled(self, pulls: Sequence[Pull]) -> Trace:
        """As `Editable`."""
        return self._once_more(pulls).trace

    def _tensor(self, place: int) -> torch.Tensor:
        return self._tensors[place] if place in self._tensors else tensor_of(self.trace.values[place].array)

    def _made_of(self, computed: Mapping[int, Any], place: int) -> torch.Tensor:
        return computed[place] if place in computed else self._tensor(place)

    def _turned(self, turns: Turns, computed: Mapping[int, Any]) -> dict[int, Any]:
        """What the last turn of a loop makes where there is another number of turns: value -> tensor."""
        results = {place: self._made_of(computed, earlier) for place, earlier in turns.instead.items()}
        behind = dict(computed)
        for _ in range(turns.more):
            behind |= {place: self._made_of(behind, next_) for place, next_ in turns.carried.items()}
            for call in (self._calls[number] for number in turns.operations):
                tensors = call.run(partial(self._made_of, behind), ())
                behind |= zip(call.makes, tensors, strict=True)
                results |= zip(call.makes, tensors, strict=True)
        return results

    def _of(self, operation: int, edits: Sequence[Edit]) -> list[Edit]:
        return [edit for edit in (*self._edits, *edits) if edit.operation == operation]

    def _record(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Any, part_of: str) -> Outputs:
        """Call a function as the model did; note what it took and made, its settings, layer and line."""
        leaves, nesting = pytree.tree_flatten((args, kwargs))
        written = signatures.writes(function)
        refs = {at: self._place(leaf) for at, leaf in enumerate(leaves) if torch.is_tensor(leaf)}
        if written and refs and (first := next(iter(refs.values()))) in self._tensors:
            # An operation in place: what is recorded is the value before it, and another value behind it.
            self._tensors[first] = self._tensors[first].detach().clone()  # what is written is no longer what it was
        taped, hooks = torch.is_grad_enabled(), self._pulling is not None and function is torch.Tensor.register_hook
        detached = self._pulling is not None and self._pulling.detached()
        with self._pulling.attaching(len(self._calls)) if self._pulling else nullcontext():
            if self._pulling and not written and not hooks:
                leaves = self._pulling.taken(len(self._calls), leaves, refs)
                args, kwargs = self._pulling.called(len(self._calls), function, *pytree.tree_unflatten(leaves, nesting))
            elif self._pulling and hooks:
                args = [args[0], self._pulling.hook(len(self._calls), refs[0], args[1])]
            result = function(*args, **kwargs)
            result = self._pulling.past(len(self._calls), result) if self._pulling else result
        if written and result is None and refs:
            result = leaves[next(iter(refs))]
        tensors = [leaf for leaf in pytree.tree_leaves(result) if torch.is_tensor(leaf)]
        if self._pulling:
            self._pulling.made(leaves, tensors)
        if not (tensors or hooks):
            return result
        makes = tuple(self._made(tensor) for tensor in tensors)
        plain = [None if at in refs else leaf for at, leaf in enumerate(leaves)]
        arguments, bare = signatures.arguments(function, args, kwargs), [signatures.bare(leaf) for leaf in leaves]
        self._calls.append(Call(function, arguments, plain, refs, nesting, taped, makes, bare))
        takes = tuple((arguments[at], place) for at, place in refs.items())
        settings: dict[str, Any] = {}
        for at, leaf in enumerate(leaves):
            if at not in refs:
                settings.setdefault(arguments[at], []).append(leaf)
        settings = {name: of[0] if len(of) == 1 else of for name, of in settings.items()}
        stack = list(frames())
        line = users(((frame.f_code.co_filename, frame.f_lineno) for frame in stack), FRAMEWORK)
        named = signatures.name(function), takes, makes, settings, self._layer(stack), line
        self.trace.operations.append(Operation(*named, detached=detached, part_of=part_of))
        return result

    def _layer(self, stack: Iterable[Any]) -> str:
        """The innermost layer whose method is on the stack: torch's own hooks would miss what a model does between its
        layers.
        """
        for frame in stack:
            if frame.f_code.co_varnames[:1] == ("self",):
                path = self._layers.get(id(frame.f_locals.get("self")))
                if path is not None:
                    return path
        return ""

    def _place(self, tensor: torch.Tensor) -> int:
        """The place of a tensor's value; one that nothing made is a leaf."""
        if id(tensor) not in self._places:
            place = self._keep(tensor, self._known.get(id(tensor), "constant"))
            self._tensors[place] = tensor
        return self._places[id(tensor)]

    def _made(self, tensor: torch.Tensor) -> int:
        return self._keep(tensor, "")

    def _keep(self, tensor: torch.Tensor, leaf: str) -> int:
        self._kept.append(tensor)
        self._places[id(tensor)] = place = self.trace.add(array_of(tensor), leaf)
        return place
