"""Does the gate cry wolf? `python -m benchmarks.gate`: clean runs beside one baseline, on other seeds and threads.

The reference pairs over the small tokenizer, each checked again and again from the next seed; every
difference is told, and counts. Beside it how far golden values and noise come from what was blessed,
over what they may come to. `--baselines DIR` has the baselines, and where it has none, they are written:
run it once more with other `--threads`, or under other versions, and it compares with them; `--runs 0`
computes golden values and noise alone. `--lose C` takes digits away from float32, which the noise has to show.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import output
from parity import backends
from parity.backends import process
from parity.compare.divergence import divergence
from parity.compare.judge import judge_difference
from parity.dtypes import Array
from parity.frontends.cli import gate
from parity.frontends.cli.progress import progress
from parity.gate import golden
from parity.gate.baseline import Baseline, place, read, write
from parity.gate.differences import differences
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.pair.models import PairModels
from parity.reference import PAIRS, pair


def blessed(directory: Path, corners: PairModels, name: str, examples: int) -> Baseline:
    """The baseline of a pair, of seed 0; written if there is none."""
    path = place(directory, name)
    if not path.exists():
        write(path, gate.measured(corners, name, 0, examples, None))
    return read(path)


def apart(expected: Baseline, found: Baseline) -> float:
    """The largest share of what rounding explains that any golden value moved by."""
    shares = [0.0]
    for name, figures in expected.document["golden"].items():
        if "scale" in figures:
            gap = divergence(expected.arrays[name], found.arrays[name])
            shares.append(gap.max_abs_diff / judge_difference(gap, (figures["noise"],) * 2, figures["scale"])[1])
    return max(shares)


def growth(expected: Baseline, found: Baseline) -> float:
    """The largest factor by which the middle of a noise left its range, above or below; 1 within it."""
    old, new = expected.document["noise"], found.document["noise"]
    return max(max(new[name][1] / span[2], span[0] / new[name][1], 1.0) for name, span in old.items())


def runs(corners: PairModels, name: str, old: Baseline, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Clean runs of a pair: what each differs in, and by how much."""
    for seed in range(options.first, options.first + options.runs):
        yield told(seed, old, gate.measured(corners, name, seed, options.examples, old))
    if not options.runs:
        yield told(0, old, alone(corners, old))


def alone(corners: PairModels, old: Baseline) -> Baseline:
    """The golden values and the noise of another run, which runs no check."""
    inputs = golden.recorded(old)
    figures, arrays = golden.golden(corners, inputs)
    noise = golden.noise(corners, inputs)
    return Baseline({**old.document, "golden": figures, "noise": noise}, {**old.arrays, **arrays})


def lose(corners: PairModels, constant: float) -> None:
    """A constant is added to the float32 logits of both sides and taken away: no check and no golden value sees it."""

    def lossy(logits: Callable[[Array], Array], ids: Array) -> Array:
        return logits(ids) + np.float32(constant) - np.float32(constant)

    for (_, dtype), model in corners.models.items():
        if dtype == "float32":
            vars(model)["logits"] = partial(lossy, model.logits)


def told(seed: int, old: Baseline, found: Baseline) -> dict[str, Any]:
    return {
        "seed": seed,
        "differences": [of.text for of in differences(old, found)],
        "golden": apart(old, found),
        "noise": growth(old, found),
    }


def use(threads: int) -> None:
    """Let both frameworks have so many threads, which is told before any operation."""
    backends.load()
    import tensorflow as tf
    import torch

    torch.set_num_threads(threads)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def tell(name: str, run: dict[str, Any]) -> None:
    """A run in a line, as it comes."""
    lines = "; ".join(run["differences"]) or "nothing"
    print(f"{name}, seed {run['seed']}: golden {run['golden']:.1e}, noise {run['noise']:.3g}: {lines}", flush=True)


def show(found: dict[str, list[dict[str, Any]]], console: Console) -> None:
    table = Table("pair", "runs", "with differences", "golden, of its limit", "noise, out of its range", box=None)
    for name, of in found.items():
        raised = sum(bool(run["differences"]) for run in of)
        worst = [max(run[key] for run in of) for key in ("golden", "noise")]
        table.add_row(name, str(len(of)), str(raised), f"{worst[0]:.1e}", f"{worst[1]:.3g} times")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS), choices=PAIRS)
    parser.add_argument("--runs", type=int, default=25, help="Of each pair; of 0 no check is run.")
    parser.add_argument("--first", type=int, default=1, help="The first run's seed.")
    parser.add_argument("--examples", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--lose", type=float, default=0.0, help="What is added to float32 logits and taken away.")
    parser.add_argument("--baselines", type=Path, default=Path(tempfile.mkdtemp()))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    process.warm()
    use(options.threads)
    tokenizer = Tokenizer.load(fixture("tokenizer/stdlib-1000.model"))
    found: dict[str, list[dict[str, Any]]] = {}
    with progress(Console(stderr=True), max(1, options.runs) * len(options.pairs)) as tick:
        for name in options.pairs:
            corners = PairModels(pair(name, tokenizer))
            old = blessed(options.baselines, corners, name, options.examples)
            if options.lose:
                lose(corners, options.lose)
            for run in runs(corners, name, old, options):
                found.setdefault(name, []).append(run)
                tell(name, run)
                tick(name)
    show(found, Console())
    output.write(found, options.json)
    sys.exit(any(run["differences"] for of in found.values() for run in of))


if __name__ == "__main__":
    output.run(main)
