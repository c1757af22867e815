"""What a PyTorch builder may return: a torch.nn.Module.

Its counterpart is `parity/backends/keras/modules.py`.
"""

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from parity.backends.build import Build
from parity.backends.nesting import spread
from parity.canonical.custom import WHOLE, teaches
from parity.dtypes import Inputs, Outputs
from parity.errors import ParityError, named

# What computes a weight before each call -> what makes a weight of it, and where the hook has its name.
COMPUTING: dict[type, tuple[Any, str]] = {
    WeightNorm: (remove_weight_norm, "name"),
    SpectralNorm: (remove_spectral_norm, "name"),
    prune.BasePruningMethod: (prune.remove, "_tensor_name"),
}


def accept(module: nn.Module) -> None:
    """Raise ParityError unless the builder's result is a torch.nn.Module."""
    if not isinstance(module, nn.Module):
        raise ParityError(f"the torch builder returned {named(module)}; it must return a torch.nn.Module")


def names_anew() -> contextlib.AbstractContextManager[None]:
    """Inside, modules get the names that their owners give them, whatever was built before."""
    return contextlib.nullcontext()


def variables(module: nn.Module) -> list[tuple[str, Any]]:
    """Every variable that the module, or a layer of it, would save: (its own name, the variable)."""
    # Batch normalization counts its batches; that is no weight.
    state = module.state_dict(keep_vars=True).items()
    return [(name, variable) for name, variable in state if not name.endswith("num_batches_tracked")]


def floats(variable: torch.Tensor) -> bool:
    """Whether a variable holds floating numbers, or complex ones."""
    return bool(variable.is_floating_point() or variable.is_complex())


def trained(module: nn.Module) -> list[Any]:
    """The variables that training changes."""
    return [variable for _, variable in variables(module) if variable.requires_grad]


def constants(module: nn.Module) -> list[Any]:
    """The variables that were made to be no weights, buffers; a frozen weight is none of them."""
    return list(module.buffers())


def tables(module: nn.Module) -> list[tuple[str, Any, Any]]:
    """Floating-point tensors that are no parameter: (name, tensor, function that assigns an array to it)."""
    plain = [
        (f"{path}.{name}" if path else name, value)
        for path, owner in module.named_modules()
        for name, value in vars(owner).items()
        if torch.is_tensor(value) and name not in computed_of(owner)
    ]
    entries = [
        (name, of) for name, of in (*module.named_buffers(), *plain) if of.is_floating_point() and not of.requires_grad
    ]
    return [(name, of, lambda array, of=of: of.copy_(torch.from_numpy(array))) for name, of in entries]


def kept(module: nn.Module) -> list[Any]:
    """The variables that a run may change, running statistics above all."""
    return list(module.buffers())


def apart(module: nn.Module) -> nn.Module:
    """The module, or a copy of it: a builder may hand out one and the same at each call."""
    for owner in module.modules():
        for name, tensor in vars(owner).items():
            # copy.deepcopy refuses such a tensor.
            if isinstance(tensor, torch.Tensor) and tensor.grad_fn is not None:
                setattr(owner, name, tensor.detach())  # a hook has computed it, and does so again at each call
    try:
        with warnings.catch_warnings(action="ignore"):  # torch's own copy of a torch.export program warns of itself
            return copy.deepcopy(module)
    except RuntimeError:  # something else in it has a graph behind it
        return module


def evaluate(module: nn.Module, build: Build) -> tuple[dict[str, str], set[str]]:
    """Make a weight of each that is computed from others, as it is in evaluation mode; its name -> what computed it.

    And the names of those that are others in training mode. Layers that the build's `custom` tells of, and modules at
    its paths `apart`, stay as they are; those at its paths `normed` get a weight norm.
    """
    computed, moving = dict[str, str](), set[str]()
    custom, apart = build.custom, {*build.apart, *build.normed}
    taught = [path for path, owner in module.named_modules() if WHOLE in custom or teaches(owner, custom)]
    for path in build.normed:
        parametrizations.weight_norm(module.get_submodule(path))
    for path, owner in list(module.named_modules()):
        if path in apart or any(not of or path == of or path.startswith(f"{of}.") for of in taught):
            continue
        prefix = f"{path}." if path else ""
        moving.update(prefix + name for name in computed_of(owner) if _moves(owner, name))
        for name, steps in dict(getattr(owner, "parametrizations", {})).items():
            computed[prefix + name] = ", ".join(type(step).__name__.strip("_") for step in steps)
            parametrize.remove_parametrizations(owner, name)
        for hook, remove, name in list(_computing(owner)):
            computed[prefix + name] = type(hook).__name__
            remove(owner, name)
    return computed, moving


def _moves(owner: nn.Module, name: str) -> bool:
    """Whether a computed weight is another one in training mode, as that of a spectral norm; buffers are put back."""
    before, values = [(buffer, buffer.clone()) for buffer in owner.buffers()], list[torch.Tensor]()
    with torch.no_grad():
        for buffer in filter(floats, owner.buffers()):  # vectors that have converged would show nothing
            buffer.copy_(torch.linspace(1, 2, buffer.numel()).reshape(buffer.shape))
        for training in (False, True):
            owner.train(training)
            for hook, _, _ in _computing(owner):
                hook(owner, ())
            values.append(getattr(owner, name).clone())
        owner.eval()
        for buffer, value in before:
            buffer.copy_(value)
    return not torch.equal(*values)


def _computing(owner: nn.Module) -> Iterator[tuple[Any, Callable[..., Any], str]]:
    """Each hook of a module that computes a weight: the hook, what makes a weight of it, and the weight's name."""
    for hook in owner._forward_pre_hooks.values():
        for kind, (remove, attribute) in COMPUTING.items():
            if isinstance(hook, kind):
                yield hook, remove, getattr(hook, attribute)


def computed_of(owner: nn.Module) -> list[str]:
    """The names of a module's weights that are computed from others before each call."""
    return [*getattr(owner, "parametrizations", {}), *(name for _, _, name in _computing(owner))]


def run(module: nn.Module, inputs: Inputs, training: bool) -> Outputs:  # noqa: ARG001 it has its mode
    """The output, in evaluation or training mode."""
    args, kwargs = spread(inputs, module.forward)
    return module(*args, **kwargs)
