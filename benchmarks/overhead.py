"""What a whole check costs over its own framework calls: `python -m benchmarks.overhead`.

A process runs every check of a pair, twice, and notes each distinct framework call: corner, verb, inputs and weights.
Then `benchmarks/bare.py`, which imports no part of parity, makes those calls alone. "cold" is a whole process, with
imports, building and tracing, "warm" the second pass on the same models. Processor time of all processes of a run is
counted, those that parity forks among them; what these call of the frameworks is no part of the replay, so that the
ratio is strict. Rounds alternate; a table has their medians. `--json FILE` writes the figures, `--page FILE`
those of docs/performance.md, with the figures of `benchmarks.peers`; all of that takes about ten minutes.
"""

import argparse
import hashlib
import json
import os
import pickle
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import bare, output
from parity import api, strategies
from parity.backends import BACKENDS, load
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from parity.reference import pair


@dataclass(frozen=True)
class Subject:
    """A pair over so many pieces, or arrays of none, and how much of it is measured where nothing else is asked for."""

    pieces: int
    examples: int = 3
    rounds: int = 3
    passes: int = 2


SUBJECTS = {"lstm": Subject(64_000, 1, 1, 1), "transformer": Subject(1000), "tiny": Subject(0)}
VERBS = {"logits": "forward", "eager": "forward", "outputs": "forward", "loss": "loss", "losses": "loss"}
VERBS["gradients"] = "gradients"
FRAMEWORKS = ("torch", "tensorflow")
PASSES = ("cold", "warm")
MARK = "<!-- figures: python -m benchmarks.overhead --page writes from here -->"
TREE = slice(11, 15)  # of /proc/PID/stat behind the name: user and system time, its own and of children that ended


def subject(name: str) -> Pair:
    """The pair of this name."""
    if name == "tiny":
        return Pair("tiny", bare.tiny_torch, bare.tiny_tensorflow, inputs=strategies.arrays(11))
    return pair(name, Tokenizer.load(fixture(f"tokenizer/stdlib-{SUBJECTS[name].pieces}.model")))


class Calls:
    """The distinct framework calls of a run, as `bare` takes them."""

    def __init__(self) -> None:
        self.distinct: dict[Any, tuple[str, str, str, Any]] = {}
        self._weights: dict[int, str] = {}  # of which weights a model is now, by what made them
        self._inside = False
        for name in FRAMEWORKS:
            for verb, bare_verb in VERBS.items():
                self._watch(name, load()[name].Model, verb, bare_verb)
            self._watch_weights(name, load()[name].Model)
        written = PairModels.load

        def loaded(corners: Any, weights: Any) -> Any:
            values = written(corners, weights)
            self._weights |= {id(model): repr(weights) for model in corners.models.values()}
            return values

        PairModels.load = loaded  # every load goes through it; mypy reads the package alone

    def note(self, framework: str, model: Any, verb: str, args: Any) -> str:
        """Remember a call, and give what names it."""
        digest = hashlib.sha256(pickle.dumps((verb, args))).hexdigest()
        key = f"{framework} {model.dtype} {self._weights.get(id(model), '')} {digest}"
        self.distinct.setdefault(key, (framework, model.dtype, verb, args))
        return key

    def _watch(self, framework: str, kind: Any, verb: str, bare_verb: str) -> None:
        run = getattr(kind, verb)

        def noted(model: Any, *args: Any, **named: Any) -> Any:
            if self._inside:
                return run(model, *args, **named)
            self._inside = True
            try:
                training = named.get("training", args[1] if verb == "eager" else False)
                eager = bool(named.get("eager") or verb == "eager"), bool(training)
                inputs = args if verb not in ("eager", "logits", "outputs") else (args[0], *eager)
                self.note(framework, model, bare_verb, inputs)
                return run(model, *args, **named)
            finally:
                self._inside = False

        setattr(kind, verb, noted)

    def _watch_weights(self, framework: str, kind: Any) -> None:
        write, trainer = kind.write, kind.trainer

        def wrote(model: Any, values: Any) -> None:
            write(model, values)
            self._weights[id(model)] = f"written {len(self.distinct)}"

        def learns(model: Any, recipe: Any) -> Any:
            made = trainer(model, recipe)
            step = made.step

            def stepped(batches: Any) -> Any:
                self._weights[id(model)] = f"{recipe} {self.note(framework, model, 'step', (batches,))}"
                return step(batches)

            made.step = stepped
            return made

        kind.write, kind.trainer = wrote, learns


def whole(name: str, examples: int, path: Path, passes: int) -> dict[str, float]:
    """In a process of its own: every check of a pair, and what each pass took. What it called goes to a file."""
    calls, took, spent = Calls(), dict[str, float](), 0.0
    lists: dict[str, Any] = {}
    corners = PairModels(subject(name))
    asked = api.Asked(examples=examples, run_all=True)
    for which in PASSES[:passes]:
        report = api.run_checks(corners, asked)
        assert report.holds, report
        took[which], spent = processor() - spent, processor()
        lists[which] = list(calls.distinct.values())
        calls.distinct.clear()
    sample, tokenizer = corners.builds["torch"].sample, corners.tokenizer
    about = {"name": name, "vocab": tokenizer.vocab if tokenizer else 0, "pad": corners.pad, "sample": sample}
    path.write_bytes(pickle.dumps({**about, "passes": lists}))
    return took


def processor() -> float:
    """Seconds of processor time of this process and of all that descend from it, as far as Linux's /proc tells."""
    stats = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        stats[int(entry.parent.name)] = int(fields[1]), sum(map(int, fields[TREE]))
    family, grown = {os.getpid()}, True
    while grown:
        more = {number for number, (parent, _) in stats.items() if parent in family} - family
        family, grown = family | more, bool(more)
    return sum(stats[number][1] for number in family if number in stats) / os.sysconf("SC_CLK_TCK")


def measured(command: list[str]) -> dict[str, float]:
    """What a process prints in its last line."""
    run = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    found: dict[str, float] = json.loads(run.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("subjects", nargs="*", default=[*SUBJECTS], metavar="PAIR")
    for what in ("examples", "rounds", "passes"):
        defaults = ", ".join(f"{getattr(of, what)} of {name}" for name, of in SUBJECTS.items())
        parser.add_argument(f"--{what}", type=int, help=f"{defaults} unless it is given")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--page", type=Path, help="a Markdown page whose figures are written anew, with those of peers")
    parser.add_argument("--whole", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    given = {what: getattr(options, what) for what in ("examples", "rounds", "passes") if getattr(options, what)}
    subjects = {name: replace(SUBJECTS[name], **given) for name in options.subjects}
    if options.whole:
        ((name, of),) = subjects.items()
        print(json.dumps(whole(name, of.examples, options.whole, of.passes)))
        return
    figures = measure(subjects)
    table = _table(figures, subjects)
    print(table)
    output.write(figures, options.json)
    if options.page:
        peers = subprocess.run([sys.executable, "-m", "benchmarks.peers"], capture_output=True, text=True, check=True)
        head = options.page.read_text(encoding="utf-8").partition(MARK)[0]
        versions = ", ".join(
            f"{name} {version}" for backend in load().values() for name, version in backend.versions().items()
        )
        about = f"{versions}, Python {platform.python_version()}; {os.cpu_count()} cores, load {os.getloadavg()[2]:.1f}"
        options.page.write_text(f"{head}{MARK}\n\n{about}.\n\n{table}\n\n{peers.stdout}", encoding="utf-8")


def measure(subjects: dict[str, Subject]) -> dict[str, dict[str, list[float]]]:
    """Pair -> pass -> medians of what the whole check took, and its framework calls alone; rounds alternate."""
    root, rounds = str(Path(bare.__file__).parents[1]), dict[str, list[dict[str, tuple[float, float]]]]()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "calls"
        for turn in range(max(of.rounds for of in subjects.values())):
            for name, of in ((name, of) for name, of in subjects.items() if turn < of.rounds):
                shared = ["--examples", str(of.examples), "--passes", str(of.passes)]
                checked = measured(["-m", "benchmarks.overhead", name, *shared, "--whole", str(path)])
                replayed = measured([bare.__file__, str(path), root])
                both = {which: (checked[which], replayed[which]) for which in checked}
                rounds.setdefault(name, []).append(both)
    return {
        name: {which: [statistics.median(one[which][i] for one in of) for i in (0, 1)] for which in of[0]}
        for name, of in rounds.items()
    }


def _table(figures: dict[str, dict[str, list[float]]], subjects: dict[str, Subject]) -> str:
    lines = ["| pair | examples | rounds | pass | whole check, cpu s | its framework calls alone | ratio |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name, passes in figures.items():
        of = subjects[name]
        for which, (checked, replayed) in passes.items():
            row = name, of.examples, of.rounds, which, f"{checked:.1f}", f"{replayed:.1f}", f"{checked / replayed:.2f}"
            lines.append(f"| {' | '.join(map(str, row))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    assert set(FRAMEWORKS) <= set(BACKENDS)
    output.run(main)
