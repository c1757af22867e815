"""What a model's layers are set to besides their variables: their plain attributes, read and replaced.

A file of weights brings back the weights. What else made the model give what it gave (an epsilon, a flag, an activation
that somebody changed by hand) is in attributes, and a reload loses it unless the file's format holds it.

What differs between the frameworks is in a file of each: which layers there are, which attributes every layer has, and
how a file comes to hold one.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from parity.backends.modes import Setting
from parity.dtypes import Module


class Framework(Protocol):
    """What `backends/torch/attributes.py` and `backends/keras/attributes.py` offer, as modules."""

    LIBRARIES: tuple[str, ...]  # the packages that its own layers are of

    def walk(self, module: Module) -> Iterator[tuple[str, Any]]:
        """Path and layer of every layer, in order."""

    def bare(self) -> Collection[str]:
        """The attributes of a layer that does nothing: the framework keeps its books in them."""

    def remedy(self, holders: Sequence[Any], name: str, value: str, suffix: str) -> str:
        """What to change for a file of this suffix to hold an attribute; `holders` lead from the model to its layer."""


class Attributes:
    """A model's plain attributes, by (layer's path, attribute's name).

    Plain is a bool, a number, a text, None, a list or tuple of these, and a function with a name, as activations have.
    `names` is the framework's path -> the path that a layer goes by, where links have renamed it.
    """

    def __init__(self, framework: Framework, module: Module, names: Mapping[str, str]) -> None:
        self._framework, self._module, self._names = framework, module, names

    def values(self) -> dict[Setting, Any]:
        """Every layer's plain attributes, but for those that the framework gives any layer."""
        bare = set(self._framework.bare())
        return {
            (path, name): value
            for path, layer in self._layers().items()
            for name, value in getattr(layer, "__dict__", {}).items()
            # What is no plain value (a tensor, a layer, an object) is compared elsewhere, or by nobody.
            if name not in bare and told(value) is not None
        }

    @contextlib.contextmanager
    def having(self, values: Mapping[Setting, Any]) -> Iterator[None]:
        """Inside, these attributes have other values; they are put back. Raises KeyError for a path of no layer."""
        layers = self._layers()
        with contextlib.ExitStack() as stack:
            for (path, name), value in values.items():
                stack.callback(set_instance_attribute(layers[path], name, value))
            yield

    def remedy(self, setting: Setting, suffix: str) -> str:
        """Say what to change for a file of this suffix to hold the attribute.

        Empty for one that a layer of the framework has worked out for itself: it goes by what the layer was given.
        """
        (at, name), layers = setting, self._layers()
        own = next((path for path in dict(self._framework.walk(self._module)) if self._named(path) == at), at)
        above = [self._named(path) for path in _prefixes(own)]
        holders = [layers[path] for path in above if path in layers]
        if name.startswith("_") and type(layers[at]).__module__.split(".")[0] in self._framework.LIBRARIES:
            return ""
        return self._framework.remedy(holders, name, str(told(layers[at].__dict__[name])), suffix)

    def _layers(self) -> dict[str, Any]:
        return {self._named(path): layer for path, layer in self._framework.walk(self._module)}

    def _named(self, path: str) -> str:
        return self._names.get(path, path)


def told(value: Any) -> str | None:
    """A plain attribute's value as a text, by which two are compared; None for one that is not plain."""
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, list | tuple):
        parts = [told(part) for part in value]
        return None if None in parts else f"({', '.join(map(str, parts))})"
    name = getattr(value, "__name__", "") if callable(value) else ""
    return name if name.isidentifier() and not isinstance(value, type) else None


def _prefixes(path: str) -> list[str]:
    """A path and all that it is in, outermost first: "a.b" -> "", "a", "a.b"."""
    steps = path.split(".") if path else []
    return [".".join(steps[:count]) for count in range(len(steps) + 1)]


def set_class_attribute(kind: type, name: str, value: Any) -> Callable[[], None]:
    """Give a class an attribute, for all of its instances; return what undoes it, also where it had inherited one.

    For what Python looks up in the class alone, as `__call__`. Whoever needs it says at the line why.
    """
    own, before = name in vars(kind), vars(kind).get(name)
    setattr(kind, name, value)

    def undo() -> None:
        if own:
            setattr(kind, name, before)
        else:
            delattr(kind, name)

    return undo


def set_instance_attribute(layer: Module, name: str, value: Any) -> Callable[[], None]:
    """Give one object an attribute of its own, past its class's `__setattr__`; return what undoes it.

    torch's `Module.__setattr__` registers modules and parameters, Keras's tracks variables: a watcher must be neither.
    """
    before = {name: layer.__dict__[name]} if name in layer.__dict__ else {}
    layer.__dict__[name] = value

    def undo() -> None:
        del layer.__dict__[name]
        layer.__dict__.update(before)

    return undo
