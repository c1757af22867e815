"""What an installed parity costs every other project's pytest: `python -m benchmarks.plugin`.

Collects an empty project with the plugin and twice without, in an order of chance, each time in a process
of its own, again and again; no other plugin is loaded, whose imports would hide what ours costs. The cost
is the median over the rounds of what the plugin adds to a round's processor time, with the interval that
holds the median in 95 of 100 such measurements; what the one run without it adds to the other is none,
and shows what the machine itself makes of nothing. Beside it the import of the plugin alone, into a
process that has pytest already. Wants an installed parity. `--json FILE` writes the figures.
"""

import argparse
import math
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks import output
from parity.frontends.cli.progress import progress

LIMIT = 20.0  # milliseconds
PLUGIN = "parity.frontends.pytest_plugin.plugin"
PYTEST = (sys.executable, "-m", "pytest", "--co", "-q", "-p", "no:cacheprovider")
IMPORT = f"import time, pytest; begun = time.process_time(); import {PLUGIN}; print(time.process_time() - begun)"


def collect(project: str, *options: str) -> float:
    """Milliseconds of collecting nothing."""
    alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    before = _children()
    result = subprocess.run([*PYTEST, *options], cwd=project, env=alone, capture_output=True, text=True, check=False)
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


def told(figures: list[float]) -> dict[str, float]:
    """The median and its interval, which order alone gives: no distribution is assumed."""
    ranked = sorted(figures)
    below = max(0, math.floor(len(ranked) / 2 - 0.98 * math.sqrt(len(ranked))))
    return {"median": statistics.median(ranked), "from": ranked[below], "to": ranked[-1 - below]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if [one.value for one in metadata.entry_points(group="pytest11", name="parity")] != [PLUGIN]:
        sys.exit('the installed parity has no plugin; run python -m pip install ".[cpu]" first')
    runs = {"with the plugin": ("-p", PLUGIN), "without": (), "without, again": ()}
    found: dict[str, list[float]] = {name: [] for name in (*runs, "import alone")}
    order = list(runs)
    with tempfile.TemporaryDirectory() as project, progress(Console(stderr=True), options.times) as tick:
        for name in order:  # fills the caches
            collect(project, *runs[name])
        for _ in range(options.times):
            tick("pytest")
            random.shuffle(order)
            for name in order:
                found[name].append(collect(project, *runs[name]))
            found["import alone"].append(load())
    plugin, without, again = (np.array(found[name]) for name in runs)
    differences = {"the plugin": (plugin - without).tolist(), "nothing": (again - without).tolist()}
    figures = {name: told(values) for name, values in (found | differences).items()}
    print(f"{'milliseconds':<16}{'median':>9}{'from':>9}{'to':>9}")
    for name, one in figures.items():
        print(f"{name:<16}" + "".join(f"{figure:>9.1f}" for figure in one.values()))
    cost = figures["the plugin"]["to"]
    print(f"the plugin costs {cost:.1f} ms at most; {LIMIT:g} are allowed")
    output.write(figures, options.json)
    sys.exit(cost > LIMIT)


if __name__ == "__main__":
    output.run(main)
