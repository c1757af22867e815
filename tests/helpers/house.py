"""The rules of the house, of any package: what each of its modules imports, and which rule that breaks.

`tests/test_house.py` holds parity to them; `tests/test_house_rules.py` shows each a package that breaks it.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Arrow = tuple[str, str]  # who imports, and what


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def within(entry: str, name: str) -> bool:
    return name == entry or name.startswith(f"{entry}.")


def box_of(name: str) -> str:
    """What stands in the package's listing: a folder, or a module at the top."""
    return name.partition(".")[0]


class House:
    """A package with its rooms: `line` has those that may not know each other between two bars, in order.

    `rooms` are of modules at the top: room -> their names; another folder or module is a room of its own. `exceptions`
    are (importer, what it may import all the same, why).
    """

    def __init__(
        self, package: Path, line: str, rooms: Mapping[str, str] | None = None, exceptions: Sequence[Sequence[str]] = ()
    ) -> None:
        self.package, self.rooms, self.exceptions = package, dict(rooms or {}), exceptions
        self.modules = sorted(package.rglob("*.py"))
        self.names = {self.name_of(path): path for path in self.modules}
        self.order = {room: place for place, group in enumerate(line.split("|")) for room in group.split()}

    def name_of(self, path: Path) -> str:
        """A module's name, below the package's."""
        parts = path.relative_to(self.package).with_suffix("").parts
        return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)

    def imports_of(self, path: Path, deep: bool = True) -> Iterator[str]:
        """Absolute names of the modules that a file imports, at its top or inside its functions too."""
        tree, own = tree_of(path), f"{self.package.name}."
        for node in ast.walk(tree) if deep else tree.body:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: relative import"
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    yield whole if whole.removeprefix(own) in self.names else node.module

    @cached_property
    def arrows(self) -> set[Arrow]:
        """(importer, imported) for all modules, but the package's face, which hands names on."""
        own = f"{self.package.name}."
        return {
            (name, other.removeprefix(own))
            for name, path in self.names.items()
            for other in self.imports_of(path)
            if name != "__init__" and other.startswith(own)
        }

    @property
    def between(self) -> set[Arrow]:
        """The arrows from one box of the listing to another."""
        return {(name, other) for name, other in self.arrows if box_of(name) != box_of(other)}

    def room_of(self, name: str) -> str:
        """The folder that a module stands in; at the top, its room by the table, or one of its own."""
        first = box_of(name)
        return next((room for room, modules in self.rooms.items() if first in modules.split()), first)

    def forbids(self, name: str, other: str) -> bool:
        """Whether the line forbids that one imports the other."""
        ours, theirs = self.room_of(name), self.room_of(other)
        return ours != theirs and self.order[theirs] >= self.order[ours]

    def excepted(self, name: str, other: str) -> bool:
        """Whether an exception allows it."""
        return any(name == one and within(place, other) for one, place, _ in self.exceptions)

    def upward(self) -> set[Arrow]:
        """The arrows that the line forbids and no exception allows."""
        return {arrow for arrow in self.arrows if self.forbids(*arrow) and not self.excepted(*arrow)}

    def homeless(self) -> set[str]:
        """The modules whose room the line does not name."""
        return {name for name in self.names if self.room_of(name) not in self.order}

    def circle(self) -> list[str]:
        """Modules that import each other in a circle, but for the exceptions; none if there is none."""
        graph = {
            name: {other for one, other in self.arrows if one == name and not self.excepted(name, other)}
            for name in self.names
        }
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            return list(error.args[1])
        return []

    def reach(self, name: str, start: str) -> bool:
        """Whether a module imports another, at whatever distance."""
        seen, waiting = set(), [start]
        while waiting:
            here = waiting.pop()
            following = {other for one, other in self.arrows if one == here} - seen
            seen |= following
            waiting += following
        return name in seen

    def floors(self) -> dict[str, int]:
        """Box -> its floor: one above the highest that it imports. Raises CycleError where two import each other."""
        graph = {box_of(name): set() for name in self.names}
        for name, other in self.between:
            if not self.excepted(name, other):
                graph[box_of(name)].add(box_of(other))
        floors = {}
        for box in TopologicalSorter(graph).static_order():
            floors[box] = 1 + max((floors[other] for other in graph[box]), default=0)
        return floors

    def crowded(self, most: int) -> dict[str, set[str]]:
        """The files that name more than so many other boxes -> those."""
        named = {name: {box_of(other) for one, other in self.between if one == name} for name in self.names}
        return {name: boxes for name, boxes in named.items() if len(boxes) > most}

    def bare_any(self) -> tuple[int, int]:
        """How many annotations are a bare `Any`, and how many there are."""
        kinds = [isinstance(of, ast.Name) and of.id == "Any" for path in self.modules for of in annotations(path)]
        return sum(kinds), len(kinds)

    def long_files(self, most: int = 300) -> dict[str, int]:
        """The files of more lines than that -> how many."""
        lengths = {name: len(path.read_text().splitlines()) for name, path in self.names.items()}
        return {name: length for name, length in lengths.items() if length > most}

    def long_functions(self, most: int = 40) -> dict[str, int]:
        """The functions of more lines than that, beside their first -> how many."""
        functions = {
            f"{self.name_of(path)}.{node.name}": node.end_lineno - node.lineno
            for path in self.modules
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.FunctionDef)
        }
        return {name: length for name, length in functions.items() if length > most}

    def undocumented(self) -> list[str]:
        """The files that do not say what they are for."""
        return [name for name, path in self.names.items() if not ast.get_docstring(tree_of(path))]


def annotations(path: Path) -> Iterator[ast.expr]:
    """Every annotation of a parameter, a result or a variable."""
    for node in ast.walk(tree_of(path)):
        both = [getattr(node, name, None) for name in ("annotation", "returns")]
        yield from (annotation for annotation in both if annotation is not None)
