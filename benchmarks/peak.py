"""What building and each check take at their peak, in bytes a parameter: `python -m benchmarks.peak`.

A fresh process builds the models of a pair of `benchmarks.large`, `small` or `gpt2`, locates, and runs every check on
few examples. What the process holds at the most in each part is measured anew (Linux: /proc/self/clear_refs), with the
fresh processes that a check starts (sampled), beyond what the frameworks held before the first model; and how long it
takes. `--json FILE` writes the figures.
"""

import argparse
import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from benchmarks import large, output
from parity.backends import process
from parity.checks import checks_of, gradients, name_of, runner, training
from parity.diagnose import explain, specimens
from parity.frontends.cli.progress import progress
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.pair import memory
from parity.pair.models import PairModels
from parity.reference import pair

PAIRS = {"small": large.small, "gpt2": large.gpt2}
OFTEN = 0.02  # seconds between two looks at other processes
Figures = dict[str, tuple[float, float]]  # part -> MB at its peak, and seconds


def resident(what: str, process: str = "self") -> float:
    """In MB, VmRSS now or VmHWM, the most since it was forgotten."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / 1e3 if found else 0.0


class Peak:
    """Beyond what the frameworks hold: this process and those that the same server has forked, at the most."""

    def __init__(self, base: float, figures: Figures) -> None:
        self._base, self._figures, self._most, self._ended = base, figures, 0.0, threading.Event()

    @contextlib.contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Inside, it is the part's."""
        Path("/proc/self/clear_refs").write_text("5")
        self._most, begun = 0.0, time.perf_counter()
        self._ended.clear()
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
            most = max(resident("VmHWM") - self._base, self._most)
            self._figures[part] = most, time.perf_counter() - begun

    def _look(self) -> None:
        while not self._ended.wait(OFTEN):
            total = 0.0
            for entry in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == os.getppid():
                        total += max(0.0, resident("VmRSS", entry.name) - self._base)
            self._most = max(self._most, total)


def peaks(name: str, examples: int, names: list[str], low_memory: bool) -> tuple[int, Figures]:
    """In a fresh process: the parameters of a model, and each part's figures."""
    warm = PairModels(pair("transformer", Tokenizer.load(fixture("tokenizer/stdlib-1000.model"))))
    for module in (gradients, training):  # what the frameworks need once
        runner.run_check(module, warm, 0, 1, "")
    figures: Figures = {}
    base = resident("VmRSS")
    peak = Peak(base, figures)
    with peak.of("built"):
        corners = PairModels(PAIRS[name], low_memory=low_memory)
    figures["held"] = resident("VmRSS") - base, 0.0
    if not names:
        weights, ids = specimens.specimen(corners, 0)
        corners.load(weights)
        with peak.of("located"):
            explain.located(corners, ids)
    for module in checks_of(corners.pair):
        if not names or name_of(module) in names:
            with peak.of(name_of(module)):
                outcome = runner.run_check(module, corners, 0, examples, "")
            assert not outcome.findings, outcome.findings
            print(outcome.name, figures[outcome.name], flush=True)
    return memory.parameters(corners.models["torch", "float32"]), figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pair", nargs="?", default="small", choices=PAIRS)
    parser.add_argument("--examples", type=int, default=3)
    parser.add_argument("--check", action="append", default=[])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--low-memory", action="store_true")
    options = parser.parse_args()
    if options.low_memory:
        memory.save()
    with progress(Console(stderr=True), 1) as tick:
        count, figures = process.fresh(peaks, options.pair, options.examples, options.check, options.low_memory)
        tick("built")
    print(f"{count:,} parameters")
    for name, (most, took) in figures.items():
        print(f"{name:<14}{most:>9.0f} MB{most * 1e6 / count:>8.1f} bytes a parameter{took:>8.1f} s")
    output.write({"parameters": count, **figures}, options.json)


if __name__ == "__main__":
    from benchmarks import peak  # under this name a fresh process finds it

    output.run(peak.main)
