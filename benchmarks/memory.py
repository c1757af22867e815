"""What locating takes beyond the models: `python -m benchmarks.memory`.

The largest resident memory of a fresh process that builds the four models of a transformer, of one
that also runs each of them once, or also takes each's gradients, and of one that locates. The
transformer has the reference pair's proportions, but more blocks and longer texts. `--json FILE`
writes the figures, in MB.
"""

import argparse
import resource
import sys
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks import output
from parity.backends import process
from parity.canonical.weights import Weights
from parity.diagnose import explain
from parity.frontends.cli.progress import progress
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from parity.reference import transformer
from parity.reference.transformer.config import Config

WORK = ("built", "run once", "gradients", "located")


def peak(work: str, blocks: int, width: int, rows: int, length: int) -> tuple[float, float]:
    """In a fresh process: its largest resident memory and that of its weights, in MB."""
    tokenizer = Tokenizer.load(fixture("tokenizer/stdlib-1000.model"))
    reference = Config(tokenizer.vocab)
    config = Config(
        tokenizer.vocab,
        length=length,
        width=width,
        blocks=blocks,
        head_width=reference.head_width * width // reference.width,
        inner=reference.inner * width // reference.width,
    )
    builds = partial(transformer._torch, config), partial(transformer._tensorflow, config)
    corners = PairModels(Pair("deep", *builds, tokenizer, length=length))
    corners.load(Weights(0, 1.0))
    ids = np.random.default_rng(0).integers(4, tokenizer.vocab, (rows, length))
    if work == "located":
        found, _ = explain.located(corners, ids)
        assert not found.introduces
    for model in corners.models.values():
        if work == "run once":
            model.eager(ids, False)
        if work == "gradients":
            model.gradients(ids, np.roll(ids, -1, 1))
    weights = sum(array.nbytes for model in corners.models.values() for array in model.read().values())
    unit = 1e6 if sys.platform == "darwin" else 1e3  # of ru_maxrss, per MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, weights / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    given = options.blocks, options.width, options.rows, options.length
    figures = {}
    with progress(Console(stderr=True), len(WORK)) as tick:
        for work in WORK:
            figures[work], weights = process.fresh(peak, work, *given)
            tick(work)
    size = f"{options.rows} x {options.length}, weights {weights:.0f} MB"
    print(f"{options.blocks} blocks, width {options.width}, ids {size}")
    print(f"{'':<12}{'peak MB':>9}{'over built':>12}{'over run once':>15}")
    for work, found in figures.items():
        print(f"{work:<12}{found:>9.0f}{found - figures['built']:>12.0f}{found - figures['run once']:>15.0f}")
    output.write({**figures, "weights": weights}, options.json)


if __name__ == "__main__":
    from benchmarks import memory  # under this name a fresh process finds it

    output.run(memory.main)
