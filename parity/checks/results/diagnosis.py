"""Where a difference comes from, and why, as data: layers, operations, causes."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

MANY = 3  # layers of one cause that are told in one
NAMED = 4  # layers that a line names
BETWEEN = "the code between layers"  # the place of what stands in no layer
# What is said of causes where it holds: "the difference drops from 2.3e-02" below a headline that says 5.3e-03.
ASIDE = (
    "note: a cause is measured at its own place, often on other inputs than the example: "
    "its figures are not those above"
)


@dataclass(frozen=True)
class Layer:
    """A linked layer, as a line of the tree in the order of calls: how far its outputs are apart.

    `freely` is the difference where both models run end to end, `alone` where both layers are given the same input, and
    `limit` what that may be; both None of a layer that was compared with nothing. `depth` is how deep it lies in the
    tree, `calls` how often it is called. `mark` is "introduces", "amplifies", "inherits" or "clean".
    """

    path: str
    kind: str
    depth: int
    calls: int
    mark: str
    freely: float
    alone: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class Cause:
    """What makes the difference, proved: undoing it takes the difference from `before` to `after`.

    `name` is one of `parity.diagnose.CAUSES`, `where` the linked layer or the stage, empty for the code between layers,
    `told` what each side does, and `fix` what to change, in the user's own terms. `subject` is the thing itself, as an
    argument by its own name, where the name is of a kind.
    """

    name: str
    where: str
    told: str
    fix: str
    before: float
    after: float
    subject: str = ""

    @property
    def text(self) -> str:
        """The cause, how it is proved and what to change, as a person reads it."""
        where = self.where or BETWEEN
        return (
            f"{where}: {self.subject or self.name}: {self.told}\n"
            f"  fix: {self.fix}; with this corrected, the difference drops from {self.before:.1e} to {self.after:.1e}"
        )


@dataclass(frozen=True)
class DifferingOperation:
    """The operation of one side whose operands are the other side's too, and whose result is not.

    `call` has its settings, `layer` is the path of its layer, `file`, `line` and `code` are the user's line, if any."""

    side: str
    call: str
    layer: str
    file: str = ""
    line: int = 0
    code: str = ""

    @property
    def text(self) -> str:
        """The operation and its place, as a person reads it."""
        line = f"\n    {self.file}:{self.line}: {self.code}" if self.file else ""
        return f"{self.side} {self.call}{f' in {self.layer}' if self.layer else ''}{line}"


@dataclass(frozen=True)
class OperationPair:
    """An operation of the first side and the second's that makes the same numbers; or what one side alone does.

    `layer` is the path of its layer; `differs` marks the first that make something else of what both sides have.
    """

    ours: str
    theirs: str
    layer: str
    differs: bool


@dataclass(frozen=True)
class Diagnosis:
    """The layers or stages that introduce a difference, the causes that are proved, and what was ruled out.

    `layers` is the tree of linked layers; `errors` is what kept parity from a cause; `weaker` says why it was located
    in float32; `operations` are the first that differ. `open` are the places of which no cause is proved.
    """

    where: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    ruled_out: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()
    errors: tuple[str, ...] = ()
    weaker: str = ""
    operations: tuple[DifferingOperation, ...] = ()
    open: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where a difference comes from, as the end of a line: "; first in layer norm"; empty where it is not known.

        Of many places the first `NAMED`.
        """
        if not self.where:
            return ""
        layers = {layer.path for layer in self.layers} - {""}
        named = [f"layer {path}" if path in layers else path or BETWEEN for path in self.where]
        if len(named) > NAMED:
            return f"; first in {', '.join(named[:NAMED])} and {len(named) - NAMED} more places"
        return f"; first in {' and '.join(named)}"

    @property
    def introduced(self) -> str:
        """All places of a difference, as a line; empty where none is known."""
        return f"introduced by {' and '.join(path or BETWEEN for path in self.where)}" if self.where else ""

    @property
    def settled(self) -> bool:
        """Whether a cause is proved of every place, so that nobody has to look for one."""
        return bool(self.causes) and not self.open and not self.errors

    @property
    def repeated(self) -> tuple[str, ...]:
        """The lines of a finding that say nothing beside others.

        A headline has the place; causes that are proved may have the lines of code of all operations that differ.
        """
        lines = (self.introduced,) if self.settled or len(self.where) <= NAMED else ()
        causes = " ".join(self.texts)
        lines_of_code = {f"({Path(one.file).name}:{one.line})" for one in self.operations if one.file}
        return (*lines, self.first) if self.settled and all(of in causes for of in lines_of_code) else lines

    @property
    def texts(self) -> tuple[str, ...]:
        """The causes as a person reads them: one that holds of `MANY` layers or more is told once."""
        return tuple(cause.text for cause in _merged(self.causes))

    def aside(self, figure: float) -> str:
        """What is said of the causes' figures where they are not `figure`, that of the check; empty where they are."""
        others = any(f"{cause.before:.1e}" != f"{figure:.1e}" for cause in self.causes)
        return ASIDE if others else ""

    @property
    def first(self) -> str:
        """The first operations that differ, as a person reads them."""
        return "\n  ".join(["first operations that differ:", *(operation.text for operation in self.operations)])

    @property
    def unsearched(self) -> tuple[str, ...]:
        """What kept parity from looking for a cause, as a person reads it."""
        return tuple(f"the cause was not looked for: {error}" for error in self.errors)


def _merged(causes: Iterable[Cause]) -> list[Cause]:
    """The causes, with those that say the same of `MANY` layers as one, in the place of the first.

    It has the largest differences of all, and names the other layers in its fix.
    """
    alike: dict[tuple[str, ...], list[Cause]] = {}
    for cause in causes:
        alike.setdefault((cause.name, cause.subject, cause.told), []).append(cause)
    merged = []
    for first, *others in alike.values():
        if len(others) + 1 < MANY:
            merged += [first, *others]
            continue
        names = [other.where for other in others]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        where = f"{first.where or BETWEEN} and {len(others)} more layers"
        fix = f"{first.fix}; and so for {', '.join(names[:NAMED])}{more}"
        before, after = (max(getattr(of, at) for of in (first, *others)) for at in ("before", "after"))
        merged.append(replace(first, where=where, fix=fix, before=before, after=after))
    return merged


def weaker(reason: str) -> str:
    """What is said of a place that was found in float32."""
    return f"located in float32: {reason}"
