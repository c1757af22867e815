"""What an installed parity costs every other project's pytest: `python -m benchmarks.plugin`.

Collects an empty project, in turn with the plugin and with `-p no:parity`, each time in a process of
its own. A busy machine only ever adds: the cost is the difference of the fastest runs, in processor
time. Beside it the import of the plugin alone, into a process that has pytest already. Wants an
installed parity. `--json FILE` writes the figures.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from rich.console import Console

from benchmarks import output
from parity.display import progress

LIMIT = 20.0  # milliseconds
PYTEST = (sys.executable, "-m", "pytest", "--co", "-q", "-p", "no:cacheprovider")
IMPORT = "import time, pytest; begun = time.process_time(); import parity.plugin; print(time.process_time() - begun)"


def collect(project: str, *options: str) -> float:
    """Milliseconds of collecting nothing."""
    before = _children()
    result = subprocess.run([*PYTEST, *options], cwd=project, capture_output=True, text=True, check=False)
    assert "no tests collected" in result.stdout, result.stdout + result.stderr
    return 1000 * (_children() - before)


def _children() -> float:
    """Seconds of processor time of all processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def load() -> float:
    """Milliseconds of importing the plugin."""
    result = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
    return 1000 * float(result.stdout)


def spread(figures: list[float]) -> dict[str, float]:
    return {"fastest": min(figures), "median": statistics.median(figures)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not metadata.entry_points(group="pytest11", name="parity"):
        sys.exit('the installed parity has no plugin; run python -m pip install ".[cpu]" first')
    with_it, without, loads = [], [], []
    with tempfile.TemporaryDirectory() as project, progress(Console(stderr=True), options.times) as tick:
        collect(project), collect(project, "-p", "no:parity")  # fills the caches
        for _ in range(options.times):
            tick("pytest")
            with_it.append(collect(project))
            without.append(collect(project, "-p", "no:parity"))
            loads.append(load())
    figures = {"with the plugin": spread(with_it), "without": spread(without), "import alone": spread(loads)}
    print(f"{'milliseconds':<16}{'fastest':>9}{'median':>9}")
    for name, one in figures.items():
        print(f"{name:<16}{one['fastest']:>9.1f}{one['median']:>9.1f}")
    cost = figures["with the plugin"]["fastest"] - figures["without"]["fastest"]
    print(f"the plugin costs {cost:.1f} ms; at most {LIMIT:g} are allowed")
    output.write(figures, options.json)
    sys.exit(cost > LIMIT)


if __name__ == "__main__":
    output.run(main)
