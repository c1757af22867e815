"""What KerasHub makes of tiny random models of Hugging Face: `python -m benchmarks.census docs/census.md`.

In the environment of `tox -e ports`. Each model is saved, converted and judged as `parity port --settings` does it;
nothing is fetched. Prints the page, or writes it.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from benchmarks.families import FAMILIES, PORT, Family
from parity import backends
from parity.canonical.weights import OWN
from parity.checks import chosen, forward
from parity.checks.runner import attempt, prepare
from parity.diagnose import operators
from parity.diagnose.relations import related, unused
from parity.diagnose.stages import own_weights
from parity.errors import ParityError
from parity.frontends.ported import paired
from parity.frontends.settings import FOLLOWED, REFUSED, Field, survey
from parity.pair.models import PairModels
from parity.pair.pair import Pair

EXAMPLES = 2
PACKAGES = ("transformers", "keras-hub", "torch", "tensorflow", "tensorflow-cpu", "keras")
PAGE = """# A census of converters

KerasHub's converters of Hugging Face's models, each on a tiny model of random numbers: what `parity port` says of the \
model that is converted, and which settings of `config.json` the converter drops. `python -m benchmarks.census \
docs/census.md` makes this page, and `tox -e ports` fails where a finding appears or vanishes. With {versions}; {date}.

{count} converters: {equal} give a model that computes the same, {different} do not. A setting counts as dropped where \
another value of it, with the same weights, moves the source's outputs, and the port's not or otherwise.

| model type | verdict | place | cause | settings dropped | followed or refused |
| --- | --- | --- | --- | --- | --- |
{rows}

Epsilons and activations are often dropped because the usual checkpoints of a family share one value; a checkpoint \
with another is converted wrong, without a word.

## To see one

{scripts}"""


@dataclass(frozen=True)
class Found:
    """What became of one model."""

    family: Family
    verdict: str
    place: str = ""
    cause: str = ""
    dropped: tuple[str, ...] = ()
    heeded: tuple[str, ...] = ()
    seconds: float = 0.0


def judged(family: Family, folder: Path) -> Found:
    """Save a family's model into a folder, convert it, and judge what comes out."""
    start = time.process_time()
    path = folder / family.name
    family.save(path)
    try:
        pair, sides = paired(str(path), PORT, folder)
        corners = prepare(pair, ("float64", "float32"), chosen(pair, ["forward"]))
    except ParityError as error:
        return Found(family, "refused", cause=str(error).replace(str(folder), ""))
    outcome = attempt(forward, corners, 0, EXAMPLES, "")
    fields = survey(pair, sides)
    dropped = tuple(field.name for field in fields if field.fails)
    heeded = tuple(field.name for field in fields if field.verdict in (FOLLOWED, REFUSED))
    verdict = "different" if outcome.findings else "equal"
    place, cause = _explained(corners, fields, sides) if outcome.findings else ("", "")
    return Found(family, verdict, place, cause, dropped, heeded, time.process_time() - start)


def _explained(corners: PairModels, fields: Sequence[Field], sides: tuple[str, str]) -> tuple[str, str]:
    """Where the outputs part, and why: a setting, what the port lacks, or a precision that it went through."""
    corners.ensure(OWN)
    first = operators.operations(operators.Examples(corners, [(OWN, corners.pair.plainest)]))
    layers = [*dict.fromkeys(one.layer for one in first if one.side == sides[0])]
    assumed = [field for field in fields if field.assumed is not None]
    told = [f"as if `{field.name}` were {field.assumed!r}, not {field.value!r}" for field in assumed]
    told = told or [of for of in [_lost(corners.pair, sides, layers)] if of]
    told = told or [of.told for of in own_weights.explain(corners)]
    return ", ".join(layers), "; ".join(told)


def _lost(pair: Pair, sides: tuple[str, str], layers: Sequence[str]) -> str:
    """What these layers of the source hold and no parameter of the port was made from."""
    source, port = (
        backends.load()[pair.roles[side].backend].Model(pair.builds[side], "float32", None).read() for side in sides
    )
    left = [name for name in unused(source, related(source, port)) if name.rpartition(".")[0] in layers]
    return f"no part in the port: {', '.join(left)}" if left else ""


def page(found: Sequence[Found]) -> str:
    """The census in Markdown."""
    rows = (
        [f"`{of.family.name}`", of.verdict, _cell(of.place), _cell(of.cause), _listed(of.dropped), _listed(of.heeded)]
        for of in found
    )
    named = ((name, metadata.version(name)) for name in PACKAGES if _installed(name))
    wrong = [of for of in found if of.verdict != "equal" or of.dropped]
    return PAGE.format(
        versions=", ".join(f"{name} {version}" for name, version in named),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        count=len(found),
        equal=sum(of.verdict == "equal" for of in found),
        different=sum(of.verdict != "equal" for of in found),
        rows="\n".join(f"| {' | '.join(row)} |" for row in rows),
        scripts="\n".join(_script(of) for of in wrong),
    )


def _script(found: Found) -> str:
    family = found.family
    command = f"parity port {family.name} {PORT} --settings"
    return f"### {family.name}\n\n```python\n{family.script}```\n\n    {command}\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def main() -> None:
    """Judge every family, or those that are named behind the page."""
    place, *names = [*sys.argv[1:], ""][: len(sys.argv)]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for family in FAMILIES:
            if not any(names) or family.name in names:
                found.append(judged(family, Path(folder)))
                print(f"{family.name}: {found[-1].verdict}, {found[-1].seconds:.0f} s", file=sys.stderr)
    text = page(found)
    if place:
        Path(place).write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
