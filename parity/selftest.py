"""The self-test: every known fault is planted, and parity has to find it, where it is, and why.

For each the checks that can see it (`parity.touch`) run in their order, up to the first that fails.
Benign twins and the clean pairs, before all faults and behind them, must not be flagged by any.
Beside it stands what the rules of `parity.baselines` find of the same.

The document, which is also the JSON file:

    {"schema": 1, "holds": bool, "versions": {package: version},
     "families": {family: {"faults", "detected", "check", "place", "cause": int}},
     "benign": {"twins", "clean", "flagged": int},
     "people": {rule: {"detected", "flagged": int}},
     "faults": [{"family", "name", "pair": str, "expected": {"check", "where", "cause"},
                 "found": {"check": str, "where": [str], "cause": str}, "people": [rule], "told": str}],
     "benigns": [{"name", "pair", "check": str, "people": [rule], "told": str}]}

`holds` is true if every fault is detected and nothing benign is flagged. "check" is "" where none failed.
"told" says in a few words what came of it, where that is not what should have.
"""

import contextlib
import gc
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.console import Console

from parity import process
from parity.baselines import RULES, flagged
from parity.checks import CHECKS
from parity.diagnose.blame import diagnose
from parity.errors import ParityError
from parity.faults import FAMILIES
from parity.faults.benign import TWINS
from parity.faults.fault import Benign, Fault
from parity.files import replacing
from parity.fixtures import fixture
from parity.pair import Corners, Pair
from parity.reference import pair as reference
from parity.report import Outcome
from parity.report.selftest import last_line, show
from parity.run import EXAMPLES, run_one
from parity.tokenizer import Tokenizer
from parity.touch import visible, watched

SCHEMA = 1
BENIGN = "benign"

Document = dict[str, Any]
Tick = Callable[[str], None]
Families = Mapping[str, Sequence[Fault]]


def chosen(family: str | None) -> tuple[Families, Sequence[Benign]]:
    """The faults by family, and the twins: all of them, or one family's. Raises ParityError for another name."""
    if family is None:
        return FAMILIES, TWINS
    if family == BENIGN:
        return {}, TWINS
    if family not in FAMILIES:
        raise ParityError(f"unknown family {family!r}; there is {', '.join((*FAMILIES, BENIGN))}")
    return {family: FAMILIES[family]}, ()


def count(families: Families, twins: Sequence[Benign]) -> int:
    """How often `run` ticks."""
    faults = [fault for of in families.values() for fault in of]
    return len(faults) + len(twins) + 2 * len({planted.pair for planted in (*faults, *twins)})


def run(families: Families, twins: Sequence[Benign], tick: Tick) -> Document:
    """Plant them all. `tick` gets a word behind each."""
    with _quiet():
        return _run(families, twins, tick)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back TensorFlow's advice, which takes the graphs of many models for one that is traced again and again."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _run(families: Families, twins: Sequence[Benign], tick: Tick) -> Document:
    process.warm()
    tokenizer = Tokenizer.load(fixture("tokenizer/stdlib-1000.model"))
    names = dict.fromkeys(planted.pair for planted in (*(f for of in families.values() for f in of), *twins))
    pairs = {name: _Clean(reference(name, tokenizer)) for name in names}
    benigns = []
    for clean in pairs.values():
        benigns.append(clean.before())
        tick("clean pairs")
    faults = []
    for family, of in families.items():
        for fault in of:
            faults.append(_fault(family, fault, pairs[fault.pair]))
            tick(family)
    for twin in twins:
        benigns.append(_benign(twin, pairs[twin.pair]))
        tick("benign twins")
    for clean in pairs.values():
        benigns.append(clean.after())
        tick("clean pairs")
    versions: dict[str, str] = {}
    for clean in pairs.values():
        for backend in clean.corners.backends.values():
            versions |= backend.versions()
    return _document(faults, benigns, versions)


def tell(document: Document, console: Console, quiet: bool, file: Path | None) -> None:
    """Print the tables, or the last line alone, and write the file."""
    if quiet:
        console.print(last_line(document), soft_wrap=True)
    else:
        show(document, console)
    if file:
        with replacing(file) as temporary:
            temporary.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")


class _Clean:
    """A clean pair, and the verbs that each check reads of it."""

    def __init__(self, pair: Pair) -> None:
        self.pair, self.corners = pair, Corners(pair)
        self.reads: dict[str, set[str]] = {}

    def before(self) -> Document:
        """Every check, what it reads being recorded."""
        corners, seen = watched(self.pair)
        failing = ""
        for module in CHECKS:
            seen.clear()
            outcome = run_one(module, corners, 0, EXAMPLES, "", shrink=False)
            self.reads[_name(module)] = set(seen)
            failing = failing or (outcome.name if outcome.findings else "")
        return _plain("clean, before", self.pair.name, failing, [])

    def after(self) -> Document:
        """Every check once more, behind all faults."""
        people = _by_people(self.corners)
        outcome, told = _first_failure(self.corners, CHECKS)
        return _plain("clean, behind all faults", self.pair.name, outcome.name if outcome else "", people, told)

    def planted(self, difference: Benign) -> tuple[Corners, list[ModuleType]]:
        """The pair with a difference in it, and the checks that can see that."""
        corners = difference.plant(self.pair, self.corners)
        shows = visible(difference, self.corners, corners)
        return corners, [module for module in CHECKS if shows(self.reads[_name(module)])]


def _fault(family: str, fault: Fault, clean: _Clean) -> Document:
    entry: Document = {
        "family": family,
        "name": fault.name,
        "pair": fault.pair,
        "expected": {"check": fault.check, "where": fault.where, "cause": fault.cause},
        "found": {"check": "", "where": [], "cause": ""},
        "people": [],
        "told": "",
    }
    try:
        corners, checks = clean.planted(fault)
    except Exception as error:  # noqa: BLE001 whatever a fault breaks: the table says it
        return entry | {"told": f"cannot be planted: {_told(error)}"}
    entry["people"] = _by_people(corners)
    outcome, told = _first_failure(corners, checks)
    if outcome is None:
        return entry | {"told": told or "no check fails"}
    where, cause, told = _blamed(corners, outcome)
    entry["found"] = {"check": outcome.name, "where": list(where), "cause": cause}
    entry["told"] = told or _missed(fault, outcome.name, where, cause)
    gc.collect()  # models and their graphs hold each other
    return entry


def _benign(twin: Benign, clean: _Clean) -> Document:
    try:
        corners, checks = clean.planted(twin)
    except Exception as error:  # noqa: BLE001 whatever a twin breaks: the table says it
        return _plain(twin.name, twin.pair, "planting", [], f"cannot be planted: {_told(error)}")
    people = _by_people(corners)
    outcome, told = _first_failure(corners, checks)
    gc.collect()
    return _plain(twin.name, twin.pair, outcome.name if outcome else "error" * bool(told), people, told)


def _first_failure(corners: Corners, checks: Sequence[ModuleType]) -> tuple[Outcome | None, str]:
    """The first outcome with a finding; or none, and what a check raised instead."""
    for module in checks:
        try:
            outcome = run_one(module, corners, 0, EXAMPLES, "", shrink=False)
        except Exception as error:  # noqa: BLE001 an error is no finding, and no end of the self-test
            return None, f"{_name(module)} raises {_told(error)}"
        if outcome.findings:
            return outcome, ""
    return None, ""


def _blamed(corners: Corners, outcome: Outcome) -> tuple[tuple[str, ...], str, str]:
    """Where `parity.diagnose` sees the difference, the first cause that it proves, and what it raised, if it did."""
    try:
        found = diagnose(corners, outcome)
    except Exception as error:  # noqa: BLE001 no diagnosis is a wrong one
        return (), "", f"the diagnosis raises {_told(error)}"
    return found.where, found.causes[0].name if found.causes else "", ""


def _by_people(corners: Corners) -> list[str]:
    try:
        return flagged(corners)
    except Exception:  # noqa: BLE001 an error is seen by whoever compares
        return list(RULES)


def _missed(fault: Fault, check: str, where: Sequence[str], cause: str) -> str:
    """What is not as it should be, in a few words."""
    parts = []
    if check != fault.check:
        parts.append(f"{check} fails first, not {fault.check}")
    if not where or " and ".join(where) != fault.where:
        parts.append(f"blamed on {', '.join(map(_place, where)) or 'nothing'}, not on {_place(fault.where)}")
    if cause != fault.cause:
        parts.append(f"cause {cause or 'not found'}, not {fault.cause}")
    return "; ".join(parts)


def _place(where: str) -> str:
    return where or "the model's own code"


def _document(faults: list[Document], benigns: list[Document], versions: dict[str, str]) -> Document:
    families: dict[str, dict[str, int]] = {}
    for entry in faults:
        row = families.setdefault(entry["family"], {"faults": 0, "detected": 0, "check": 0, "place": 0, "cause": 0})
        expected, found = entry["expected"], entry["found"]
        place = bool(found["where"]) and " and ".join(found["where"]) == expected["where"]
        row["faults"] += 1
        row["detected"] += bool(found["check"])
        row["check"] += found["check"] == expected["check"]
        row["place"] += place
        row["cause"] += place and found["cause"] == expected["cause"]
    clean = sum(entry["name"].startswith("clean, ") for entry in benigns)
    wrong = sum(bool(entry["check"]) for entry in benigns)
    detected = sum(row["detected"] for row in families.values())
    return {
        "schema": SCHEMA,
        "holds": detected == len(faults) and not wrong,
        "versions": versions,
        "families": families,
        "benign": {"twins": len(benigns) - clean, "clean": clean, "flagged": wrong},
        "people": {
            rule: {
                "detected": sum(rule in entry["people"] for entry in faults),
                "flagged": sum(rule in entry["people"] for entry in benigns),
            }
            for rule in RULES
        },
        "faults": faults,
        "benigns": benigns,
    }


def _plain(name: str, pair: str, check: str, people: list[str], told: str = "") -> Document:
    return {"name": name, "pair": pair, "check": check, "people": people, "told": told}


def _name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
