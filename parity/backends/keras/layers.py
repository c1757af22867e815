"""Which layers of a Keras model hold parameters that parity knows.

Line for line beside `parity/backends/torch/layers.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from parity.backends.build import Build
from parity.backends.keras import modules
from parity.backends.keras.kinds import KINDS, OPENED, Parts, attribute_of
from parity.backends.keras.lengths import holds_lengths
from parity.canonical.custom import CUSTOM, WHOLE, Custom, loose, taught, teaches, untaught, whole
from parity.canonical.layer import UNBUILT, CanonicalParameter, Layer, untied
from parity.canonical.opened import ATTENTION, opened
from parity.canonical.transforms import SAME
from parity.dtypes import Module, Variable
from parity.errors import ParityError


def parameters(module: Module, build: Build, words: Sequence[str]) -> tuple[Layer, ...]:
    """The layers that hold a model's parameters; where it is taken as it is, every variable that floats is one."""
    if not build.own:
        return tuple(layers(module, build.custom, words))
    return loose((name, variable) for name, variable in modules.variables(module) if modules.floats(variable))


def layers(module: Module, custom: Custom, words: Sequence[str] = ()) -> Iterator[Layer]:
    """Every layer that holds parameters, in the order of definition; one that parity knows or `custom` tells is whole.

    What holds others behind these. By `words`, those of `canonical.opened`, some are the layers that they are made of.
    Raises ParityError naming a layer that has no twin in the other framework.
    """
    if WHOLE in custom:
        yield from _whole(module, custom[WHOLE])
        return
    seen: set[int] = set()
    for path, entries in _walk(module, "", custom, words):
        for place, kind, parts in entries:
            yield Layer(".".join(filter(None, (path, place))), kind, untied(parts, seen))
    yield from _untaught(module, "", seen | set(map(id, modules.constants(module))))


def _untaught(module: Module, path: str, seen: set[int]) -> Iterator[Layer]:
    """Custom layers of the variables that no known layer holds (not in `seen`, ids), one for each module with any."""
    variables, inside = modules.variables(module), modules.children(module)
    if all(id(variable) in seen for _, variable in variables):
        return
    for name, child in inside:
        yield from _untaught(child, f"{path}.{name}".lstrip("."), seen)
    loose = [(_called(module, path, *of), *of) for of in variables if id(of[1]) not in seen]
    yield from untaught(path, loose, len(loose) == len(variables)) if loose else ()
    seen.update(id(variable) for _, _, variable in loose)


def _called(module: Module, path: str, name: str, variable: Variable) -> str:
    """The attribute by which a module holds a variable; or the variable's name, from the module's on."""
    for attribute, value in getattr(module, "__dict__", {}).items():
        if value is variable:
            return str(attribute).lstrip("_")
    steps, last = name.split("/"), path.rpartition(".")[2]
    at = len(steps) - 1 - steps[::-1].index(last) if last in steps[:-1] else len(steps) - 2
    return ".".join(steps[at + 1 :])


def _whole(module: Module, tell: Callable[[Any], Any]) -> list[Layer]:
    try:
        return whole(module, tell, modules.variables(module), modules.constants(module))
    except ParityError as error:
        raise ParityError(f"{type(module).__name__}: {error}") from error


def _walk(
    module: Module, prefix: str, custom: Custom, words: Sequence[str]
) -> Iterator[tuple[str, list[tuple[str, str, list[CanonicalParameter]]]]]:
    for name, child in modules.children(module):
        path = f"{prefix}{name}"
        layers_here = _canonical(path, child, custom, words)
        if layers_here:
            yield path, layers_here
        else:
            yield from _walk(child, f"{path}.", custom, words)


def _canonical(
    path: str, child: keras.Layer, custom: Custom, words: Sequence[str]
) -> list[tuple[str, str, list[CanonicalParameter]]]:
    """The canonical layers in one of the framework's, as `Reader` but with their parts; none if it is not known."""
    try:
        if tell := teaches(child, custom):
            return [("", CUSTOM, taught(child, tell, modules.variables(child), modules.constants(child)))]
        if holds_lengths(child):
            return [("", CUSTOM, _apart(child))]
        known = {**KINDS, **OPENED} if ATTENTION in words else KINDS
        reader = next((reader for kind, reader in known.items() if issubclass(modules.kin(child), kind)), None)
        if reader and not child.built:
            return [("", UNBUILT, [])]
        entries = reader(child) if reader else []
        layers_here = [(place, kind, list(_parts(child, parts))) for place, kind, parts in entries]
        return list(opened(layers_here, words))
    except ParityError as error:
        raise ParityError(f"{path}: {type(child).__name__}: {error}") from error


def _apart(child: keras.Layer) -> list[CanonicalParameter]:
    """The parameters of a layer that computes a weight of them, under their own names."""
    return [CanonicalParameter(name.rpartition("/")[2], (of,), (name,), SAME) for name, of in modules.variables(child)]


def _parts(child: keras.Layer, parts: Parts) -> Iterator[CanonicalParameter]:
    """The canonical parameters that the layer has: it may be without a bias or a gain."""
    for parameter, (names, transform) in parts.items():
        variables = tuple(attribute_of(child, name) for name in names)
        if variables[0] is not None:
            yield CanonicalParameter(parameter, variables, tuple(map(modules.name_of, variables)), transform)
