"""What building and each check take at their peak, in bytes a parameter: `python -m benchmarks.peak`.

A fresh process builds the models of a transformer with the reference pair's proportions, but wider, locates, and runs
every check on few examples. The largest resident memory of each part is measured anew (Linux: /proc/self/clear_refs),
beyond what the frameworks held before the first model. `--json FILE` writes the figures.
"""

import argparse
import re
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks import output
from parity.backends import process
from parity.checks import checks_of, gradients, name_of, runner, training
from parity.diagnose import explain, specimens
from parity.frontends.cli.progress import progress
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.pair import memory
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from parity.reference import transformer
from parity.reference.transformer.config import Config


def pair(blocks: int, width: int) -> Pair:
    """The transformer, wider."""
    tokenizer = Tokenizer.load(fixture("tokenizer/stdlib-1000.model"))
    small = Config(tokenizer.vocab)
    config = Config(
        tokenizer.vocab,
        width=width,
        blocks=blocks,
        head_width=small.head_width * width // small.width,
        inner=small.inner * width // small.width,
    )
    builds = partial(transformer._torch, config), partial(transformer._tensorflow, config)
    return Pair("wide", *builds, tokenizer, length=config.length)


def resident(what: str) -> float:
    """In MB, VmRSS now or VmHWM, the most since the last call, which is forgotten."""
    text = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    found = re.search(rf"{what}:\s+(\d+) kB", text)
    return int(found[1]) / 1e3 if found else 0.0


def peaks(blocks: int, width: int, examples: int, names: list[str], low_memory: bool) -> tuple[int, dict[str, float]]:
    """In a fresh process: the parameters of a model, and part -> its peak in MB beyond the frameworks."""
    small = PairModels(pair(1, 48))
    for module in (gradients, training):  # what the frameworks need once
        runner.run_check(module, small, 0, 1, "")
    base = resident("VmRSS")
    corners = PairModels(pair(blocks, width), low_memory=low_memory)
    figures = {"built": resident("VmHWM") - base, "held": resident("VmRSS") - base}
    weights, ids = specimens.specimen(corners, 0)
    corners.load(weights)
    resident("VmHWM")
    explain.located(corners, ids)
    figures["located"] = resident("VmHWM") - base
    for module in checks_of(corners.pair):
        if not names or name_of(module) in names:
            resident("VmHWM")
            outcome = runner.run_check(module, corners, 0, examples, "")
            figures[outcome.name] = resident("VmHWM") - base
    return memory.parameters(corners.models["torch", "float32"]), figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument("--width", type=int, default=960)
    parser.add_argument("--examples", type=int, default=3)
    parser.add_argument("--check", action="append", default=[])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--low-memory", action="store_true")
    options = parser.parse_args()
    if options.low_memory:
        memory.save()
    given = options.blocks, options.width, options.examples, options.check, options.low_memory
    with progress(Console(stderr=True), 1) as tick:
        count, figures = process.fresh(peaks, *given)
        tick("built")
    print(f"{count:,} parameters")
    for name, figure in figures.items():
        print(f"{name:<14}{figure:>9.0f} MB{figure * 1e6 / count:>8.0f} bytes a parameter")
    output.write({"parameters": count, **figures}, options.json)


if __name__ == "__main__":
    from benchmarks import peak  # under this name a fresh process finds it

    output.run(peak.main)
