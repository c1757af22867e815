"""What it takes to locate a difference in deep models: `python -m benchmarks.locating`.

Transformers of 2 to 100 blocks, whose Keras side has another epsilon in the norm of its middle block, each in a fresh
process: how many operations there are on either side; the seconds of processor time that one eager run of both float64
models on 2 texts of 16 ids takes, both runs operation by operation, their alignment up to the first operations that
differ, and locating by layers; how many times the eager run the operations (all of recording and aligning) and the
layers take; and the memory that each takes beyond the models, which ran once before. `--json FILE` writes the figures.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import output
from parity.backends import process
from parity.canonical.weights import Weights
from parity.diagnose import operators
from parity.diagnose.locate import locate
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from parity.reference import transformer
from parity.reference.transformer.config import Config
from parity.reference.twins import twins

ROWS, LENGTH = 2, 16
DEPTHS = (2, 6, 12, 25, 50, 100)
EPSILON = 1e-3  # in the place of 1e-5


def in_keras(config: Config) -> Any:
    """The transformer with another epsilon in one norm."""
    from parity.reference.transformer.tensorflow import LanguageModel  # imports Keras, in the fresh process alone

    model = LanguageModel(config)
    model.blocks[config.blocks // 2].mlp_norm.epsilon = EPSILON
    return model


def measure(blocks: int) -> dict[str, float]:
    """In a fresh process: operations, seconds and MB for models of so many blocks."""
    tokenizer = Tokenizer.load(fixture("tokenizer/stdlib-1000.model"))
    config = Config(tokenizer.vocab, blocks=blocks)
    torch = twins(transformer.__name__, "LanguageModel", config)["torch"]
    corners = PairModels(Pair("deep", torch, partial(in_keras, config), tokenizer, length=config.length))
    weights = Weights(0, 1.0)
    corners.load(weights)
    ids = np.random.default_rng(0).integers(4, tokenizer.vocab, (ROWS, LENGTH))
    eager = [seconds(lambda: [corners.widest(side).eager(ids, False) for side in corners.sides]) for _ in range(3)]
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    begun = time.process_time()
    runs = operators.recorded(corners, weights, ids)
    recorded = time.process_time()
    first = runs.alignment.parted
    aligned = time.process_time()
    peak = memory("VmHWM") - before
    assert all(first), "nothing was found"
    counts = [len(of.trace.operations) for of in (runs.run, runs.other)]
    del runs, first
    by_layers, both = seconds(lambda: locate(corners, ids)), min(eager)
    return {
        "torch": counts[0],
        "keras": counts[1],
        "eager s": both,
        "recorded s": recorded - begun,
        "aligned s": aligned - recorded,
        "times": (aligned - begun) / both,
        "MB": peak,
        "layers s": by_layers,
        "times ": by_layers / both,
        "MB ": memory("VmHWM") - before,
    }


def seconds(run: Callable[[], Any]) -> float:
    begun = time.process_time()
    run()
    return time.process_time() - begun


def memory(what: str) -> float:
    """Resident memory of this process in MB: VmRSS as it is, VmHWM its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith(what)]
    return int(line.split()[1]) / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--blocks", type=int, nargs="*", default=DEPTHS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = {}
    for blocks in options.blocks:
        figures[blocks] = process.fresh(measure, blocks)
        if len(figures) == 1:
            print(f"{'blocks':>8}" + "".join(f"{what:>12}" for what in figures[blocks]))
        row = (f"{found:>12.1f}" if found < 1000 else f"{found:>12.0f}" for found in figures[blocks].values())
        print(f"{blocks:>8}" + "".join(row), flush=True)
    output.write(figures, options.json)


if __name__ == "__main__":
    from benchmarks import locating  # under this name a fresh process finds it

    output.run(locating.main)
