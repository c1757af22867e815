"""Time and memory of comparing two large arrays, beside what else people use: `python -m benchmarks.compare`.

Two arrays of 8 x 256 x 64,000 float32, each line in one run: the fastest of a few repetitions, as a
ratio to reading both arrays once. `--json FILE` writes the figures.
"""

import argparse
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks import output
from parity.compare import divergence, statistics
from parity.display import progress
from parity.layers import Array

SHAPE = (8, 256, 64_000)


def read(first: Array, second: Array) -> float:
    """The floor: one pass over both arrays that keeps nothing."""
    return float(first.max() + second.max())


def assert_close(first: Array, second: Array) -> None:
    import torch

    torch.set_num_threads(1)
    torch.testing.assert_close(torch.from_numpy(first), torch.from_numpy(second))


SUBJECTS: dict[str, Callable[[Array, Array], object]] = {
    "read both": read,
    "divergence": divergence,
    "statistics": statistics,
    "numpy.array_equal": np.array_equal,
    "numpy.testing.assert_allclose": lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
    "torch.testing.assert_close": assert_close,
}


def measure(subject: Callable[[Array, Array], object], arrays: tuple[Array, Array], repeat: int) -> dict[str, float]:
    times = []
    for _ in range(repeat):
        begun = time.perf_counter()
        subject(*arrays)
        times.append(time.perf_counter() - begun)
    part = tuple(array[0] for array in arrays)  # tracing is slow; extra memory is the same for a part or more for all
    tracemalloc.start()
    subject(*part)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"seconds": min(times), "extra_mib": peak / 2**20}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    first = random.standard_normal(SHAPE, dtype=np.float32)
    second = first * (1 + np.float32(1e-7) * random.standard_normal(SHAPE, dtype=np.float32))
    figures = {}
    with progress(Console(stderr=True), len(SUBJECTS)) as tick:
        for name, subject in SUBJECTS.items():
            tick(name)
            figures[name] = measure(subject, (first, second), options.repeat)
    floor = figures["read both"]["seconds"]
    print(f"{'two float32 arrays of ' + str(SHAPE):<40}{'seconds':>9}{'x reading':>11}{'extra MiB':>11}")
    for name, figure in figures.items():
        ratio = figure["seconds"] / floor
        print(f"{name:<40}{figure['seconds']:>9.3f}{ratio:>11.1f}{figure['extra_mib']:>11.1f}")
    output.write(figures, options.json)


if __name__ == "__main__":
    output.run(main)
