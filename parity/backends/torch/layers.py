"""Which layers of a PyTorch model hold parameters that parity knows.

Line for line beside `parity/backends/keras/layers.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import nn

from parity.backends.build import Build
from parity.backends.torch import modules
from parity.backends.torch.kinds import KINDS, OPENED, Parts, attribute_of
from parity.canonical.custom import CUSTOM, WHOLE, Custom, loose, taught, teaches, untaught, whole
from parity.canonical.layer import CanonicalParameter, Layer, untied
from parity.canonical.opened import ATTENTION, opened
from parity.canonical.transforms import SAME
from parity.errors import ParityError


def parameters(module: nn.Module, build: Build, words: Sequence[str]) -> tuple[Layer, ...]:
    """The layers that hold a model's parameters; where it is taken as it is, every variable that floats is one."""
    if not build.own:
        return tuple(layers(module, build.custom, words))
    return loose((name, variable) for name, variable in modules.variables(module) if modules.floats(variable))


def layers(module: nn.Module, custom: Custom, words: Sequence[str] = ()) -> Iterator[Layer]:
    """Every layer that holds parameters, in the order of definition; one that parity knows or `custom` tells is whole.

    What holds others behind these. By `words`, those of `canonical.opened`, some are the layers that they are made of.
    Raises ParityError naming a layer that has no twin in the other framework.
    """
    if WHOLE in custom:
        yield from _whole(module, custom[WHOLE])
        return
    seen: set[int] = set()
    known: list[str] = []
    for path, child in module.named_modules():
        entries = [] if path.startswith(tuple(known)) else _canonical(path, child, custom, words)
        if entries:
            known.append(f"{path}." if path else "")
        for place, kind, parts in entries:
            yield Layer(".".join(filter(None, (path, place))), kind, untied(parts, seen))
    yield from _untaught(module, seen | set(map(id, modules.constants(module))))


def _untaught(module: nn.Module, seen: set[int]) -> Iterator[Layer]:
    """Custom layers of the parameters that no known layer holds (not in `seen`, ids), one for each module with any."""
    for path, child in module.named_modules():
        parameters = [
            (name, variable) for name, variable in child.named_parameters(recurse=False) if variable is not None
        ]
        loose = [(name, f"{path}.{name}".lstrip("."), v) for name, v in parameters if id(v) not in seen]
        leaf = len(loose) == len(parameters) and not any(True for of in child.children() for _ in of.parameters())
        yield from untaught(path, loose, leaf) if loose else ()
        seen.update(id(variable) for _, _, variable in loose)


def _whole(module: nn.Module, tell: Callable[[Any], Any]) -> list[Layer]:
    try:
        return whole(module, tell, modules.variables(module), modules.constants(module))
    except ParityError as error:
        raise ParityError(f"{type(module).__name__}: {error}") from error


def _canonical(
    path: str, child: nn.Module, custom: Custom, words: Sequence[str]
) -> list[tuple[str, str, list[CanonicalParameter]]]:
    """The canonical layers in one of the framework's, as `Reader` but with their parts; none if it is not known."""
    try:
        if tell := teaches(child, custom):
            variables = [(f"{path}.{name}", variable) for name, variable in modules.variables(child)]
            return [("", CUSTOM, taught(child, tell, variables, modules.constants(child)))]
        if modules.computed_of(child):
            return [("", CUSTOM, _apart(path, child))]
        known = {**KINDS, **OPENED} if ATTENTION in words else KINDS
        reader = next((reader for kind, reader in known.items() if isinstance(child, kind)), None)
        entries = reader(child) if reader else []
        layers_here = [(place, kind, list(_parts(path, child, parts))) for place, kind, parts in entries]
        return list(opened(layers_here, words))
    except ParityError as error:
        raise ParityError(f"{path}: {type(child).__name__}: {error}") from error


def _apart(path: str, child: nn.Module) -> list[CanonicalParameter]:
    """The parameters of a layer that computes a weight of them, under their own names without dots."""
    prefix = f"{path}." if path else ""
    return [
        CanonicalParameter(name.removeprefix("parametrizations.").replace(".", "_"), (of,), (prefix + name,), SAME)
        for name, of in child.named_parameters()
    ]


def _parts(path: str, child: nn.Module, parts: Parts) -> Iterator[CanonicalParameter]:
    """The canonical parameters that the layer has: it may be without a bias or a gain."""
    for parameter, (names, transform) in parts.items():
        variables = tuple(attribute_of(child, name) for name in names)
        if variables[0] is not None:
            yield CanonicalParameter(parameter, variables, tuple(f"{path}.{name}" for name in names), transform)
