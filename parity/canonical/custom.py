"""Layers of a user's own class: what they are taught to be.

A class that parity does not know says by itself neither what its variables are called nor how their axes lie.
`custom={Scale: parts_of_scale}` teaches it: a function of the layer that names each variable, with a transform where
the axes are another's. What nobody teaches is taken as it is, by the names of its variables, and linked by shapes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from parity.canonical.layer import CanonicalParameter, Layer
from parity.canonical.transforms import Transform, own_transform
from parity.dtypes import Module
from parity.errors import ParityError, users_own

# The user's own layer class -> what tells its parameters: name -> variable, or (variable, transform).
# Or a side -> what tells those of its whole model, each named "layer.parameter".
Custom = Mapping[type | str, Callable[[Any], Any]]

WHOLE = ""  # the key of the function for a whole model, in what `of_side` gives
ROOT = "model"  # holds the variables that a model itself holds
CUSTOM = "custom"  # the kind of such a layer, if its twin has no other
VALUE = "value"  # what a variable is called that is a layer by itself


def of_side(custom: Custom, side: str) -> Custom:
    """The functions that concern one side: those of classes, and the one of its whole model, by `WHOLE`."""
    tells = {WHOLE if kind == side else kind: tell for kind, tell in custom.items()}
    return {kind: tell for kind, tell in tells.items() if kind == WHOLE or isinstance(kind, type)}


def teaches(layer: Module, custom: Custom) -> Callable[[Any], Any] | None:
    """The function that tells a layer's parameters, by the first class that it is an instance of; None if none does."""
    return next((tell for kind, tell in custom.items() if isinstance(kind, type) and isinstance(layer, kind)), None)


def taught(
    layer: Module, tell: Callable[[Any], Any], variables: Iterable[tuple[str, Any]], constants: Iterable[Any]
) -> list[CanonicalParameter]:
    """The parameters of a layer of the user's own, as `tell` tells them.

    `variables` is every variable of it, with its name; `constants` are those that were made to be no weights, torch's
    buffers say, which may be left out. Raises ParityError unless each of the others is told once, and where `tell`
    fails, gives no dict, gives something that is no variable of the layer, or a name with a dot.
    """
    parts = _parts(layer, tell, variables, constants)
    for part in parts:
        if "." in part.parameter:
            raise ParityError(f"its function in custom= calls a parameter {part.parameter}; leave out the dot")
    return parts


def whole(
    module: Module, tell: Callable[[Any], Any], variables: Iterable[tuple[str, Any]], constants: Iterable[Any]
) -> list[Layer]:
    """The layers of a model whose function names all of its parameters, each "layer.parameter".

    Raises ParityError as `taught`, and where a name has no layer before a dot.
    """
    layers: dict[str, list[CanonicalParameter]] = {}
    for part in _parts(module, tell, variables, constants):
        path, _, parameter = part.parameter.rpartition(".")
        if not path:
            raise ParityError(f"its function in custom= calls a parameter {parameter}; name its layer before a dot")
        layers.setdefault(path, []).append(replace(part, parameter=parameter))
    return [Layer(path, CUSTOM, tuple(parts)) for path, parts in layers.items()]


def loose(variables: Iterable[tuple[str, Any]]) -> tuple[Layer, ...]:
    """Layers of a model that is taken as it is: each variable a parameter, by its own name.

    What stands before the last dot or slash of a name is the layer's path, or `ROOT` where there is none. A variable
    with several names has the first, and of several variables of one name the later ones are numbered.
    """
    seen, names = set[int](), Counter[str]()
    layers: dict[str, list[CanonicalParameter]] = {}
    for name, variable in variables:
        if id(variable) not in seen:  # a tied one has several names
            seen.add(id(variable))
            path, _, parameter = name.replace("/", ".").rpartition(".")
            path = path or ROOT
            names[f"{path}.{parameter}"] += 1
            parameter = _numbered(parameter, names[f"{path}.{parameter}"])
            layers.setdefault(path, []).append(_lone(parameter, variable, name))
    return tuple(Layer(path, CUSTOM, tuple(parts)) for path, parts in layers.items())


def untaught(path: str, own: Sequence[tuple[str, str, Any]], leaf: bool) -> list[Layer]:
    """Layers for a module of no known kind that holds variables itself: one if no other is inside it (`leaf`), else one
    for each variable.

    `own` is (the name that it has there, the framework's name, the variable). Of several of one name the later ones
    are numbered.
    """
    own = [(_numbered(name, count), whole, of) for count, (name, whole, of) in zip(_counts(own), own, strict=True)]
    if leaf and path:
        return [
            Layer(
                path,
                CUSTOM,
                tuple(_lone(name, variable, whole) for name, whole, variable in own),
            )
        ]
    return [
        Layer(
            ".".join(filter(None, (path, name))),
            CUSTOM,
            (_lone(VALUE, variable, whole),),
        )
        for name, whole, variable in own
    ]


def _counts(own: Sequence[tuple[str, str, Any]]) -> Iterator[int]:
    """The how manyth of its name each is, from 1."""
    names = Counter[str]()
    for name, _, _ in own:
        names[name] += 1
        yield names[name]


def _numbered(name: str, several: int) -> str:
    """A name, with its number from the second of that name on: Keras lets several variables have one name."""
    return f"{name} {several}" if several > 1 else name


def _lone(parameter: str, variable: Any, name: str) -> CanonicalParameter:
    """A parameter that is one variable as it is; of complex numbers, their parts."""
    return CanonicalParameter(parameter, (variable,), (name,), own_transform(variable.dtype))


def _parts(
    layer: Module, tell: Callable[[Any], Any], variables: Iterable[tuple[str, Any]], constants: Iterable[Any]
) -> list[CanonicalParameter]:
    """Ask the user's function, and hold its answer against what there is. Raises ParityError as `taught` says."""
    with users_own("its function in custom= failed"):
        answer = tell(layer)
    if not isinstance(answer, Mapping):
        raise ParityError(f"its function in custom= returned {type(answer).__name__}; it must return a dict")
    names = {id(variable): name for name, variable in variables}
    parts = [_told(str(parameter), entry, names) for parameter, entry in answer.items()]
    uses = Counter(id(part.variables[0]) for part in parts)
    spared = set(map(id, constants)) - set(uses)  # a constant may be left out, but not be told twice
    for identity, name in names.items():
        if uses[identity] != 1 and identity not in spared:
            problem = "has twice" if uses[identity] else "leaves out"
            raise ParityError(f"its function in custom= {problem} {name}; each variable is one parameter")
    return parts


def _told(parameter: str, entry: Any, names: Mapping[int, str]) -> CanonicalParameter:
    """One entry of the user's answer as a parameter; `names` has every variable that there is, by its id.

    Raises ParityError on anything but a variable, or (variable, transform).
    """
    variable, transform = entry if isinstance(entry, tuple) and len(entry) == 2 else (entry, None)
    if id(variable) not in names or not isinstance(transform, Transform | None):
        raise ParityError(
            f"its function in custom= gives {type(entry).__name__} for {parameter}; "
            "it must be a variable of the layer, or (variable, transform)"
        )
    transform = transform or own_transform(variable.dtype)
    return CanonicalParameter(parameter, (variable,), (names[id(variable)],), transform)
