"""One process's part of the self-test: a difference planted beside the clean pair, and what every check makes of it."""

import contextlib
import gc
import logging
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from parity import backends
from parity.checks import CHECKS, FRESH_PROCESS, checks_of
from parity.checks import named as named_check
from parity.checks.results import Outcome
from parity.checks.runner import EXAMPLES, attempt
from parity.diagnose.explain import diagnose
from parity.errors import ERRORS, reason
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.pair import memory
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from parity.selftest.faults import reached
from parity.selftest.faults.fault import Alteration, Fault, Known
from parity.selftest.faults.pairs import pair as named
from parity.selftest.other_tools import RULES, flagged
from parity.selftest.visibility import visible, watched

FEWER = 10  # examples of a pair without a tokenizer where nothing is to be found: benchmarks/zoo tries such at length
BEFORE, AFTER = "clean, before", "clean, behind all faults"

Document = dict[str, Any]
Reads = Mapping[str, set[str]]  # check -> the verbs that it reads


@dataclass(frozen=True)
class Trial:
    """A difference to plant in the reference pair of a name, or the clean pair itself, `BEFORE` or `AFTER`.

    `reads` is what each check was seen to read of the clean pair before.
    """

    pair: str
    planted: Alteration | None = None
    clean: str = ""
    reads: Reads = field(default_factory=dict, repr=False)
    worker: int | None = None  # the one that has to do it, if not any

    @property
    def built(self) -> tuple[str, ...]:
        """The sides whose random numbers start anew; a seed costs TensorFlow every graph that it has compiled."""
        return self.planted.built if self.planted else ()

    def __str__(self) -> str:
        return self.planted.name if self.planted else f"{self.pair} {self.clean}"


@dataclass(frozen=True)
class Tried:
    """The document's entry; and, of the clean pair before, what each check reads and the versions."""

    entry: Document
    reads: Reads = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


class Worker:
    """Does trials, one after another; keeps the clean pairs, beside which it plants.

    What a side that is not altered gives of the same inputs and weights is asked of it once, for all trials but
    those of the clean pair, which run everything.
    """

    def __init__(self) -> None:
        self._tokenizer = Tokenizer.load(fixture("tokenizer/stdlib-1000.model"))
        self._clean: dict[str, PairModels] = {}
        self._known: dict[str, Known] = {}

    def __call__(self, trial: Trial) -> Tried:
        """What comes of a trial; what it raises, where nothing else has told of it, is its entry's words."""
        try:
            return self._tried(trial)
        except ERRORS as error:
            failure, planted = f"the trial raises {reason(error)}", trial.planted
            if isinstance(planted, Fault):
                return Tried(_entry(planted) | {"told": failure})
            return Tried(_plain(planted.name if planted else trial.clean, trial.pair, "error", [], failure))

    def _tried(self, trial: Trial) -> Tried:
        """Do a trial. The clean pair is built at the first one beside it, and stays; `BEFORE` builds another."""
        pair = named(trial.pair, self._tokenizer)
        with _quiet(), _collected():
            if trial.clean == BEFORE:
                return _before(pair)
            if trial.pair not in self._clean:
                self._clean[trial.pair] = PairModels(pair)
                self._known[trial.pair] = {}
            clean = self._clean[trial.pair]
            for side in trial.built:  # what a planted dropout draws must not hang on which trials went before
                clean.backends[side].seed(0)
            if trial.planted is None:
                return Tried(_after(clean))
            return Tried(_planted(trial.planted, clean, trial.reads, self._known[trial.pair]))


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


@contextlib.contextmanager
def _collected() -> Iterator[None]:
    """Free what is made inside. Models and their graphs hold each other, so that only the collector frees them; frozen,
    all that was there before costs it no time. What was compiled for them a framework may hold, and freed memory the
    process.
    """
    gc.freeze()
    try:
        yield
    finally:
        backends.discard_compiled()
        gc.collect()
        gc.unfreeze()
        memory.trim()


def _before(pair: Pair) -> Tried:
    """Every check of a clean pair, what it reads being recorded."""
    corners, seen = watched(pair)
    reads: dict[str, set[str]] = {}
    failing = reason = ""
    for module in _checks(corners):
        seen.clear()
        outcome = attempt(module, corners, 0, _examples(pair), "", shrink=False)
        reads[_name(module)] = set(seen)
        failing = failing or (outcome.name if outcome.findings or outcome.error else "")
        reason = reason or _raised(outcome)
    versions = {name: version for backend in corners.backends.values() for name, version in backend.versions().items()}
    return Tried(_plain(BEFORE, pair.name, failing, [], reason), reads, versions)


def _after(clean: PairModels) -> Document:
    """Every check once more, behind all that was planted beside these very models."""
    people = _by_people(clean)
    outcome, reason = _first_failure(clean, _checks(clean), _examples(clean.pair))
    return _plain(AFTER, clean.pair.name, _first(outcome, reason), people, reason)


def _first(outcome: Outcome | None, failure: str) -> str:
    """The check that failed first; "error" where something was raised instead; empty where all hold."""
    if outcome is not None:
        return outcome.name
    return "error" if failure else ""


def _planted(difference: Alteration, clean: PairModels, reads: Reads, known: Known) -> Document:
    """The entry of a fault or a benign twin."""
    reached.begin()
    try:
        corners = difference.inject(clean.pair, clean, known)
    except Exception as error:  # noqa: BLE001 whatever a difference breaks: the table says it
        return _unplanted(difference, f"cannot be planted: {reason(error)}")
    shows = visible(difference, clean, corners)
    checks = [module for module in _checks(corners) if shows(reads[_name(module)])]
    people = _by_people(corners)
    outcome, failure = _first_failure(corners, checks, _examples(clean.pair, difference), difference.sides)
    apart = outcome is not None and named_check(outcome.name) in FRESH_PROCESS  # it ran where nothing is noted
    if (missed := reached.missed()) and not failure and not apart:
        return _unplanted(difference, f"planted, and never reached: {', '.join(missed)}")
    if not isinstance(difference, Fault):
        return _plain(difference.name, difference.pair, _first(outcome, failure), people, failure)
    entry = _entry(difference) | {"people": people}
    if outcome is None:
        return entry | {"told": failure or "no check fails"}
    where, cause, failure = _blamed(corners, outcome)
    actual = {"check": outcome.name, "where": list(where), "cause": cause}
    return entry | {"found": actual, "told": failure or _missed(difference, outcome.name, where, cause)}


def _unplanted(difference: Alteration, failure: str) -> Document:
    """The entry of what makes no difference to the pair, and why: of a twin, too, it is no success."""
    if isinstance(difference, Fault):
        return _entry(difference) | {"told": failure}
    return _plain(difference.name, difference.pair, "planting", [], failure)


def _checks(corners: PairModels) -> list[ModuleType]:
    """Those that a pair has to pass."""
    return [module for module in CHECKS if module in checks_of(corners.pair, corners.carried is not None)]


def _examples(pair: Pair, planted: Alteration | None = None) -> int:
    """How many examples of each check."""
    return EXAMPLES if pair.inputs is None or isinstance(planted, Fault) else min(FEWER, EXAMPLES)


def _entry(fault: Fault) -> Document:
    """Of a fault that is not found."""
    return {
        "family": "",
        "name": fault.name,
        "pair": fault.pair,
        "expected": {"check": fault.check, "where": fault.where, "cause": fault.cause, "also": [*fault.also]},
        "found": {"check": "", "where": [], "cause": ""},
        "people": [],
        "told": "",
    }


def _first_failure(
    corners: PairModels, checks: Sequence[ModuleType], examples: int, sides: Sequence[str] = ()
) -> tuple[Outcome | None, str]:
    """The first outcome with a finding; or none, and what a check raised instead.

    What compares a side with itself is asked of `sides` alone, if some are named: any other is the clean pair's.
    """
    alone = copy(corners)
    alone.builds = {side: corners.builds[side] for side in sides or corners.sides}
    for module in checks:
        outcome = attempt(module, alone if module in FRESH_PROCESS else corners, 0, examples, "", shrink=False)
        if outcome.findings:
            return outcome, ""
        if outcome.error:
            return None, _raised(outcome)
    return None, ""


def _blamed(corners: PairModels, outcome: Outcome) -> tuple[tuple[str, ...], str, str]:
    """Where `parity.diagnose` sees the difference, the first cause that it proves, and what it raised, if it did."""
    diagnosis = diagnose(corners, outcome)
    reason = f"the diagnosis raises {diagnosis.errors[0]}" if diagnosis.errors else ""
    return diagnosis.where, diagnosis.causes[0].name if diagnosis.causes else "", reason


def _raised(outcome: Outcome) -> str:
    """What a check raised, if it did."""
    return f"{outcome.name} raises {outcome.error.message}" if outcome.error else ""


def _by_people(corners: PairModels) -> list[str]:
    """The rules of other tools that find a difference; all of them, where the models raise something."""
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
    if cause not in (fault.cause, *fault.also):
        parts.append(f"cause {cause or 'not found'}, not {fault.cause}")
    return "; ".join(parts)


def _place(where: str) -> str:
    return where or "the code between layers"


def _plain(name: str, pair: str, check: str, people: list[str], reason: str = "") -> Document:
    """The entry of an equivalent mutant or a clean pair; `check` is the first that fails, empty where all hold."""
    return {"name": name, "pair": pair, "check": check, "people": people, "told": reason}


def _name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]
