"""Gradients of a recorded run in torch, by every value and through every use.

Its counterpart is `parity/backends/tensorflow/backward.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch

from parity.backends.operations import Pull, Trace
from parity.backends.torch import signatures
from parity.dtypes import Array

Trained = Callable[[Mapping[int, Any]], dict[str, Array]]  # gradients by ids of tensors -> those by parameters


class Pulling:
    """Collects what gradients are asked of while a run is recorded, and changes them as `pulls` say.

    Autograd gives one gradient by a tensor, of all its uses together. So each use takes a view of its own, by which the
    part that comes through it is asked for.
    """

    def __init__(self, pulls: Sequence[Pull], trained: Trained) -> None:
        self._trained = trained
        self._pulls = {(pull.operation, pull.place): pull for pull in pulls}
        self._named = {pull.operation: pull for pull in pulls if pull.called}
        self._attached = {operation for pull in pulls for operation in pull.attached}
        self._own = 0  # functions with a gradient of their own that run
        self._hooked: dict[tuple[int, int], Array] = {}
        self._passed: list[tuple[Any, Pull]] = []  # what an operation takes whose gradient goes past it
        self._inside: list[tuple[Any, Pull]] = []  # the same inside of a function with a gradient of its own
        self._kept: list[Any] = []
        self._uses: list[tuple[int, int, Any]] = []  # an operation's number, the value's place, what stands for it
        self._apart: dict[int, Any] = {}  # what stands for an argument of a function with a gradient of its own, by id

    def running(self, run: Callable[[], Any], places: dict[int, int]) -> Any:
        """What a run gives in which an argument of a function with a gradient of its own stands for this use alone.

        `places` has the place of each tensor's value by the tensor's id, and gets those of what stands for them.
        """
        # What `Function.apply` calls: that itself may be bound already, as in `reverse = Reverse.apply`.
        single = torch.autograd.function._SingleLevelFunction

        def apply(kind: Any, *args: Any) -> Any:
            known: Any = super(single, kind)
            if kind is _Pulled:
                return known.apply(*args)
            self._own += 1
            try:
                result = known.apply(*(self._alone(one, places) for one in args))
            finally:
                self._own -= 1
            return self._going_past(result, places)

        single.apply = classmethod(apply)
        try:
            return run()
        finally:
            del single.apply

    def _alone(self, argument: Any, places: dict[int, int]) -> Any:
        """A view of an argument by which a gradient is known, and which has the same place; or the argument itself."""
        if not (torch.is_tensor(argument) and argument.requires_grad and id(argument) in places):
            return argument
        with torch._C.DisableTorchFunction():  # it is no operation of the model's
            view = argument.view_as(argument)
        places[id(view)] = places[id(argument)]
        self._apart[id(view)] = view
        return view

    def _going_past(self, result: Any, places: dict[int, int]) -> Any:
        """What a function with a gradient of its own gives, by which gradients go straight to an argument where a pull
        of an operation inside says `past`.
        """
        passed, self._inside = self._inside, []
        for cotangent, pull in passed:
            if torch.is_tensor(result) and result.shape == cotangent.shape and id(result) in places:
                with torch._C.DisableTorchFunction():  # it is no operation of the model's
                    straight = _Pulled.apply(cotangent, result.detach(), pull.change)
                places[id(straight)] = places[id(result)]
                self._kept += [result, straight]  # so that no id comes again
                result = straight
        return result

    def detached(self) -> bool:
        """Whether the code has turned gradients off, as by no_grad()."""
        return not torch.is_grad_enabled() and not self._own

    def attaching(self, operation: int) -> AbstractContextManager[None]:
        """With gradients, where a pull says that the operation has them."""
        return torch.enable_grad() if operation in self._attached else nullcontext()

    def taken(self, operation: int, leaves: Sequence[Any], refs: Mapping[int, int]) -> list[Any]:
        """The leaves of an operation's arguments, each value exchanged for one that stands for this use alone."""
        taken = [*leaves]
        if not torch.is_grad_enabled():  # inside a function with a gradient of its own
            for place, leaf in {place: leaves[at] for at, place in refs.items()}.items():
                if self._apart.pop(id(leaf), None) is not None:
                    self._uses.append((operation, place, leaf))
                pull = self._pulls.get((operation, place))
                if pull is not None and pull.past and leaf.requires_grad:
                    self._inside.append((leaf, pull))
                elif pull is not None and leaf.requires_grad:
                    leaf.register_hook(partial(_changed, pull.change, leaf.detach()))
            return taken
        for at, place in refs.items():
            if leaves[at].requires_grad:
                taken[at] = leaves[at].view_as(leaves[at])
                self._uses.append((operation, place, taken[at]))
                pull = self._pulls.get((operation, place))
                if pull is not None and pull.past:
                    self._passed.append((taken[at], pull))
                    taken[at] = taken[at].detach()
                elif pull is not None:
                    taken[at] = _Pulled.apply(taken[at], taken[at].detach(), pull.change)
        return taken

    def called(
        self, operation: int, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """What an operation is called with: other arguments than its own, where it is pulled so."""
        pull = self._named.get(operation)
        if pull is None or pull.name != signatures.name(function):
            return args, kwargs
        return signatures.changed(function, args, kwargs, pull.called)

    def hook(self, operation: int, place: int, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A hook on a value, which counts as an operation that takes it; one that does nothing where it is pulled."""

        def hook(gradient: Any) -> Any:
            result = None if (operation, place) in self._pulls else change(gradient)
            self._hooked[operation, place] = _array(gradient if result is None else result)
            return result

        return hook

    def past(self, operation: int, result: Any) -> Any:
        """An operation's result, by which gradients go straight to the operand where a pull says `past`."""
        for cotangent, pull in self._passed:
            if pull.operation == operation and torch.is_tensor(result) and result.shape == cotangent.shape:
                result = _Pulled.apply(cotangent, result.detach(), pull.change)
        self._passed = []
        return result

    def made(self, leaves: Sequence[Any], tensors: Sequence[Any]) -> None:
        """Have a gradient by an operation's results even where it lets none through, as a detach."""
        if any(torch.is_tensor(leaf) and leaf.requires_grad for leaf in leaves):
            for tensor in tensors:
                if tensor.is_floating_point() and not tensor.requires_grad:
                    tensor.requires_grad_()

    def into(self, trace: Trace, tensors_kept: Sequence[Any]) -> None:
        """Put the gradients of the run's one output into the trace."""
        [loss] = (tensors_kept[place] for place in trace.outputs.values())
        trace.fixed = {at for at, value in enumerate(trace.values) if value.leaf and not tensors_kept[at].requires_grad}
        wanted = [(place, tensor) for place, tensor in enumerate(tensors_kept) if tensor.requires_grad]
        tensors = [tensor for _, tensor in wanted] + [tensor for *_, tensor in self._uses]
        gradients = torch.autograd.grad(loss, tensors, allow_unused=True)
        for (place, _), gradient in zip(wanted, gradients, strict=False):
            if gradient is not None:
                trace.gradients[place] = _array(gradient)
        both = zip(wanted, gradients, strict=False)
        trace.trained = self._trained({id(tensor): of for (_, tensor), of in both if of is not None})
        trace.uses |= self._hooked
        for (operation, place, _), gradient in zip(self._uses, gradients[len(wanted) :], strict=True):
            if gradient is not None:
                trace.uses[operation, place] = trace.uses.get((operation, place), 0) + _array(gradient)


class _Pulled(torch.autograd.Function):  # type: ignore[misc]  # torch's class has no types
    """A value in the place of another, to which a change of its gradient goes."""

    @staticmethod
    def forward(context: Any, operand: Any, result: Any, change: Any) -> Any:
        context.given, context.change = operand.detach(), change
        return result.view_as(result)

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        return _changed(context.change, context.given, gradient), None, None


def _changed(change: Callable[[Array, Array], Array], value: Any, gradient: Any) -> Any:
    """`change(gradient, value)` of tensors as NumPy arrays."""
    return torch.from_numpy(change(_array(gradient), _array(value))).to(gradient.dtype)


def _array(gradient: Any) -> Array:
    array: Array = gradient.detach().to_dense().numpy()
    return array
