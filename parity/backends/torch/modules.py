"""What a PyTorch builder may return: a torch.nn.Module. Line for line beside tensorflow.py."""

import contextlib
import copy
from typing import Any

from torch import nn

from parity.backends.nesting import spread
from parity.errors import ParityError, named


def accept(module: Any) -> None:
    """Raises ParityError unless the module is of one of these forms."""
    if not isinstance(module, nn.Module):
        raise ParityError(f"the torch builder returned {named(module)}; it must return a torch.nn.Module")


def names_anew() -> contextlib.AbstractContextManager[None]:
    """Inside, modules get the names that their owners give them, whatever was built before."""
    return contextlib.nullcontext()


def variables(module: Any) -> list[tuple[str, Any]]:
    """Every variable that the module, or a layer of it, would save: (its own name, the variable)."""
    # Batch normalization counts its batches; that is no weight.
    held = module.state_dict(keep_vars=True).items()
    return [(name, variable) for name, variable in held if not name.endswith("num_batches_tracked")]


def floats(variable: Any) -> bool:
    """Whether a variable holds floating numbers."""
    return bool(variable.is_floating_point())


def trained(module: Any) -> list[Any]:
    """Those that training changes."""
    return [variable for _, variable in variables(module) if variable.requires_grad]


def constants(module: Any) -> list[Any]:
    """Those that were made to be no weights, whatever is frozen beside them."""
    return list(module.buffers())


def kept(module: Any) -> list[Any]:
    """Those that a run may change."""
    return list(module.buffers())


def apart(module: Any) -> Any:
    """The module, or a copy of it: a builder may hand out one and the same at each call."""
    try:
        return copy.deepcopy(module)
    except RuntimeError:  # a weight that a hook computes has a graph behind it
        return module


def run(module: Any, inputs: Any, training: bool) -> Any:  # noqa: ARG001 it has its mode
    """The output, in evaluation or training mode."""
    args, kwargs = spread(inputs, module.forward)
    return module(*args, **kwargs)
