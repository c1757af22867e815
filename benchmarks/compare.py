"""Time and memory of comparing two large arrays, beside what else people use: `python -m benchmarks.compare`.

Two arrays of 8 x 256 x 64,000 float32. The subjects take turns of two calls, so that a busy moment
meets all of them and none is timed on fresh memory alone; a line is the fastest call, as a ratio to
reading both arrays once, and how many times faster it is than each peer in the same run.
Loading the compiled loops is told apart: it happens once
in a process. Extra memory is the larger of two measurements of which each is blind to something:
what Python and NumPy allocate (not what compiled code or torch does), and by how much the resident
set of the process grows at its peak (not memory that was in use before and is used again).
`--json FILE` writes the figures.
"""

import argparse
import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks import output
from parity.compare import divergence
from parity.dtypes import Array
from parity.frontends.cli.progress import progress

SHAPE = (8, 256, 64_000)
Subject = Callable[[Array, Array], object]


def read(first: Array, second: Array) -> float:
    """The floor: one pass over both arrays that keeps nothing."""
    return float(first.max() + second.max())


def assert_close(first: Array, second: Array) -> None:
    import torch

    torch.set_num_threads(1)
    torch.testing.assert_close(torch.from_numpy(first), torch.from_numpy(second))


def by(least: int, subject: Subject, first: Array, second: Array) -> object:
    """Compare with the compiled loops for arrays of at least so many elements."""
    divergence.LARGE = least
    return subject(first, second)


PEERS: dict[str, Subject] = {
    "numpy.testing.assert_allclose": lambda a, b: np.testing.assert_allclose(
        a,
        b,
        rtol=1e-5,  # its time is measured, nothing is judged by it; it has to pass to be timed to the end
        atol=1e-6,  # as above: NumPy's default, 0, fails near zero
    ),
    "torch.testing.assert_close": assert_close,
}
SUBJECTS: dict[str, Subject] = {
    "read both": read,
    "divergence, NumPy": partial(by, sys.maxsize, divergence.divergence),
    "divergence, compiled": partial(by, 0, divergence.divergence),
    "statistics, NumPy": partial(by, sys.maxsize, divergence.statistics),
    "statistics, compiled": partial(by, 0, divergence.statistics),
    "numpy.array_equal": np.array_equal,
    **PEERS,
}


def seconds(subject: Subject, *arrays: Array) -> float:
    begun = time.perf_counter()
    subject(*arrays)
    return time.perf_counter() - begun


def memory(subject: Subject, first: Array, second: Array) -> float:
    """Extra MiB at the peak of one call."""

    def resident(line: str) -> int:
        return int(Path("/proc/self/status").read_text().partition(f"{line}:")[2].split()[0]) * 1024

    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is resident now
    before = resident("VmRSS")
    subject(first, second)
    grown = resident("VmHWM") - before
    tracemalloc.start()
    subject(first, second)
    traced = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return max(grown, traced) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    subjects = {name: subject for name, subject in SUBJECTS.items() if divergence._compiled() or "compiled" not in name}
    random = np.random.default_rng(0)
    first = random.standard_normal(SHAPE, dtype=np.float32)
    second = first * (1 + np.float32(1e-7) * random.standard_normal(SHAPE, dtype=np.float32))
    small = first[0, 0], second[0, 0]
    with progress(Console(stderr=True), (options.repeat + 1) * len(subjects)) as tick:
        loading = {name: seconds(subject, *small) for name, subject in subjects.items() if "compiled" in name}
        times: dict[str, list[float]] = {name: [] for name in subjects}
        for _ in range(options.repeat):
            for name, subject in subjects.items():
                tick(name)
                times[name] += [seconds(subject, first, second) for _ in range(2)]
        figures = {}
        for name, subject in subjects.items():
            tick(name)
            figures[name] = {"seconds": min(times[name]), "extra_mib": memory(subject, first, second)}
    show(figures)
    for name, spent in loading.items():
        figures[name]["loading_seconds"] = spent
        print(f"{name}: {spent:.2f} seconds to load, or to compile the first time")
    output.write(figures, options.json)


def show(figures: dict[str, dict[str, float]]) -> None:
    """One line a subject, with the ratio to reading and the peers' ratios to it."""
    title = f"two float32 arrays of {SHAPE}"
    print(f"{title:<38}{'seconds':>9}{'x reading':>11}{'allclose /':>12}{'close /':>9}{'extra MiB':>11}")
    peers = [figures[name]["seconds"] for name in PEERS]
    for name, figure in figures.items():
        spent = figure["seconds"]
        allclose, close = (peer / spent for peer in peers)
        ratio = spent / figures["read both"]["seconds"]
        print(f"{name:<38}{spent:>9.3f}{ratio:>11.1f}{allclose:>12.1f}{close:>9.1f}{figure['extra_mib']:>11.1f}")


if __name__ == "__main__":
    output.run(main)
