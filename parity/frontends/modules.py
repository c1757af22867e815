"""What a user's module says before it is imported, which costs both frameworks: whether it is there, and its pairs."""

import ast
import difflib
import importlib.util
import os
import pkgutil
import re
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path

from parity.errors import ParityError

# What may give a module a name that its text does not have.
DYNAMIC = re.compile(r"import \*|\b(exec|globals|locals|setattr|vars|__dict__|__getattr__|__path__)\b")


def looked_up(name: str, attribute: str) -> None:
    """Raise ParityError where a module, or an attribute of it, can be seen to be missing without importing it.

    An attribute is missing if the module's text does not have the word. Where that can be no proof, because names may
    come about otherwise (`DYNAMIC`) or there is no text, nothing is raised.
    """
    if name in sys.modules:
        return
    text = _text(name, attribute)
    if text is None or DYNAMIC.search(text) or (attribute and re.search(rf"\b{re.escape(attribute)}\b", text)):
        return
    expected = f"AttributeError: module {name!r} has no attribute {attribute!r}"
    pairs = _pairs(text)
    raise ParityError(f"{name}:{attribute}: cannot be imported ({expected}){_hint(name, attribute, pairs)}")


def suggested(name: str, attribute: str) -> str:
    """The targets that a module offers, for whoever named the module alone, its file, or a pair with a dot before it.

    Empty where there is no such module.
    """
    if name.endswith(".py"):
        name = ".".join(Path(os.path.relpath(name)).with_suffix("").parts)
    parent, _, last = name.rpartition(".")
    for module, pair in ((name, attribute), (parent, last)):
        try:
            text = _text(module, "")
        except ParityError:
            continue
        if text is not None and (hint := _hint(module, pair, _pairs(text))):
            return hint
        if module == name:
            return "" if text is None else f"; name a pair in it, {name}:ATTRIBUTE"
    return ""


def _text(name: str, attribute: str) -> str | None:
    """A module's source, None where it has none. Raises ParityError where the module is missing.

    Packages are searched part by part: `find_spec` of a whole dotted name would import the parents.
    """
    head, places = name.partition(".")[0], sys.path[:2]
    spec = importlib.util.find_spec(head) if head.isidentifier() else None
    for part in name.split(".")[1:]:
        if spec is None or not isinstance(spec.loader, SourceFileLoader | None):
            break
        # A package that changes its own __path__ may find its modules anywhere.
        if spec.origin and "__path__" in Path(spec.origin).read_text(encoding="utf-8", errors="replace"):
            return None
        places, head = list(spec.submodule_search_locations or ()), f"{head}.{part}"
        spec = PathFinder.find_spec(head, places) if part.isidentifier() else None
    if spec is None:
        near = difflib.get_close_matches(head.rpartition(".")[2], [of.name for of in pkgutil.iter_modules(places)], 1)
        parent, rest = head[: head.rfind(".") + 1], name[len(head) :]
        hint = f"; did you mean {parent}{near[0]}{rest}:{attribute}?" if near else ""
        text = f"ModuleNotFoundError: No module named {head!r}"
        raise ParityError(f"{name}:{attribute}: cannot be imported ({text}){hint}")
    if not isinstance(spec.loader, SourceFileLoader) or not spec.origin:
        return None
    return Path(spec.origin).read_text(encoding="utf-8", errors="replace")


def _pairs(text: str) -> list[str]:
    """The names that a module's text gives to pairs."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return []
    return [target.id for node in body for target in _targets(node) if isinstance(target, ast.Name)]


def _targets(node: ast.stmt) -> Iterable[ast.expr]:
    """What a statement assigns a pair to, if it does."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Call):
        return ()
    called = node.value.func
    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    return () if name != "Pair" else node.targets if isinstance(node, ast.Assign) else (node.target,)


def _hint(name: str, attribute: str, pairs: Sequence[str]) -> str:
    """The end of a message that names a module's pairs, the most alike in name first; empty where it has none."""
    if not pairs:
        return ""
    near = difflib.get_close_matches(attribute, pairs, 1) or pairs[:1]
    others = [f"{name}:{pair}" for pair in pairs if pair != near[0]]
    return f"; did you mean {name}:{near[0]}?" + (f" it also has {', '.join(others)}" if others else "")
