"""The self-test: known bugs are injected, and parity has to find each, where it is, and why.

Each is a `trial`: the checks that can see it (`visibility`) run in their order, up to the first that fails. Equivalent
mutants and the clean pairs, before all faults and behind them, must not be flagged by any. Beside it stands what the
rules of `other_tools` find of the same. `faults` has the bugs, `twins` the equivalent mutants.

The document, which is also the JSON file:

    {"schema": 1, "holds": bool, "versions": {package: version},
     "families": {family: {"faults", "detected", "check", "place", "cause": int}},
     "benign": {"twins", "clean", "flagged": int},
     "people": {rule: {"detected", "flagged": int}},
     "faults": [{"family", "name", "pair": str, "expected": {"check", "where", "cause": str, "also": [str]},
                 "found": {"check": str, "where": [str], "cause": str}, "people": [rule], "told": str}],
     "benigns": [{"name", "pair", "check": str, "people": [rule], "told": str}]}

`holds` is true if every fault is detected and nothing benign is flagged. "check" is "" where none failed.
"told" says in a few words what came of it, where that is not what should have. "also" are causes as true as "cause".
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from parity.backends import keras_side
from parity.backends.workers import Workers, cores
from parity.errors import ParityError
from parity.selftest.faults import FAMILIES
from parity.selftest.faults.fault import Alteration, BenignTwin, Fault
from parity.selftest.faults.pairs import sides_of
from parity.selftest.other_tools import RULES
from parity.selftest.trial import AFTER, BEFORE, Document, Trial, Tried, Worker
from parity.selftest.twins import TWINS

SCHEMA = 1
BENIGN = "benign"

Tick = Callable[[str], None]
Families = Mapping[str, Sequence[Fault]]


def chosen(family: str | None) -> tuple[Families, Sequence[BenignTwin]]:
    """The faults by family, and the twins: all of them, or one family's, that can be planted on this Keras.

    Raises ParityError for another name.
    """
    if family not in (None, BENIGN, *FAMILIES):
        raise ParityError(f"unknown family {family!r}; available: {', '.join((*FAMILIES, BENIGN))}")
    families = {name: tuple(filter(_here, of)) for name, of in FAMILIES.items() if family in (None, name)}
    return families, tuple(filter(_here, TWINS)) if family in (None, BENIGN) else ()


def _here(planted: Alteration) -> bool:
    """Whether its pair has models for what Keras runs on, and it is in the terms of that."""
    side = keras_side()
    return planted.only in ("", side) and side in sides_of(planted.pair)


def count(families: Families, twins: Sequence[BenignTwin]) -> int:
    """How often `run` ticks."""
    faults = [fault for of in families.values() for fault in of]
    return len(faults) + len(twins) + 2 * len({planted.pair for planted in (*faults, *twins)})


def run(families: Families, twins: Sequence[BenignTwin], tick: Tick) -> Document:
    """Plant them all, one process a core, and give the document that the module's docstring describes.

    Three rounds: the clean pairs, in which is seen what each check reads; what is planted; and the clean pairs once
    more, in each process beside whose models something was planted. `tick` gets a word behind each. Raises ParityError
    where a process dies, naming what it had.
    """
    faults = [(family, fault) for family, of in families.items() for fault in of]
    planted = [*twins, *(fault for _, fault in faults)]  # the twins, which take longest, first
    words = ["equivalent mutants"] * len(twins) + [family for family, _ in faults]
    pairs = list(dict.fromkeys(difference.pair for difference in planted))
    with Workers(min(cores(), len(planted)), Worker) as workers:
        plan = _Plan([Trial(pair, clean=BEFORE) for pair in pairs])
        before = workers.do(plan.trials, plan.choose, lambda *_: tick("clean pairs"))
        reads = {pair: tried.reads for pair, tried in zip(pairs, before, strict=True)}
        plan = _Plan([Trial(difference.pair, difference, reads=reads[difference.pair]) for difference in planted])
        results = workers.do(plan.trials, plan.choose, lambda place, _: tick(words[place]))
        plan = _Plan([Trial(pair, clean=AFTER, worker=worker) for pair, worker in sorted(plan.served)])
        left = Counter(trial.pair for trial in plan.trials)

        def ticking(place: int, _: object) -> None:
            left[plan.trials[place].pair] -= 1
            if not left[plan.trials[place].pair]:
                tick("clean pairs")

        after = workers.do(plan.trials, plan.choose, ticking)
    entries = [tried.entry for tried in results]
    named = zip(faults, entries[len(twins) :], strict=True)
    benigns = [tried.entry for tried in before] + entries[: len(twins)] + _worst(pairs, after)
    versions = {name: version for tried in before for name, version in tried.versions.items()}
    return _document([entry | {"family": family} for (family, _), entry in named], benigns, versions)


class _Plan:
    """Who does which trial: a worker stays with a pair as long as it can, since it builds that pair's models.

    Of a pair, those that alter the models of the same sides come together: `Trial.built` says why.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        self.trials = trials
        self.served: set[tuple[str, int]] = set()
        self._at: dict[int, str] = {}

    def choose(self, worker: int, left: Mapping[int, Trial]) -> int | None:
        """The place of the next trial of those that are left; the pair with most to do for those who are at it."""
        mine = {place: trial for place, trial in left.items() if trial.worker in (None, worker)}
        if not mine:
            return None
        pairs = Counter(trial.pair for trial in mine.values())
        if self._at.get(worker) not in pairs:
            self._at.pop(worker, None)
            others = Counter(self._at.values())
            self._at[worker] = max(pairs, key=lambda pair: pairs[pair] / (1 + others[pair]))
        self.served.add((self._at[worker], worker))
        here = {place: trial.built for place, trial in mine.items() if trial.pair == self._at[worker]}
        return min(here, key=lambda place: (here[place], place))


def _worst(pairs: Sequence[str], after: Sequence[Tried]) -> list[Document]:
    """Of each pair one entry: one that is flagged, if any worker's is."""
    entries = [tried.entry for tried in after]
    return [max((e for e in entries if e["pair"] == pair), key=lambda e: bool(e["check"])) for pair in pairs]


def _document(faults: list[Document], benigns: list[Document], versions: dict[str, str]) -> Document:
    """The whole document of these entries: a place counts if it is that of the fault alone, a cause only beside it."""
    families: dict[str, dict[str, int]] = {}
    for entry in faults:
        row = families.setdefault(entry["family"], {"faults": 0, "detected": 0, "check": 0, "place": 0, "cause": 0})
        expected, actual = entry["expected"], entry["found"]
        place = bool(actual["where"]) and " and ".join(actual["where"]) == expected["where"]
        row["faults"] += 1
        row["detected"] += bool(actual["check"])
        row["check"] += actual["check"] == expected["check"]
        row["place"] += place
        row["cause"] += place and actual["cause"] in (expected["cause"], *expected["also"])
    clean = sum(entry["name"] in (BEFORE, AFTER) for entry in benigns)
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
