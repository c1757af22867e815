"""What a check costs over the models that it runs: `python -m benchmarks.overhead`.

Runs the checks that run the models, on the LSTM pair at both vocabularies, and times the verbs of
the four models inside them (logits, loss, gradients) in the same run. The rest is parity's own:
drawing and writing weights, comparing, Hypothesis. `--json FILE` writes the figures.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import output
from parity.checks import forward, gradients, loss, masking, padding, runner
from parity.frontends.cli.progress import progress
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.pair.models import Corners
from parity.reference import pair

CHECKS = (forward, padding, masking, loss, gradients)
VERBS = ("logits", "loss", "gradients")


class Clock:
    """Adds up the time spent inside the models."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watch(self, model: Any, verb: str) -> None:
        bare = getattr(model, verb)

        def timed(*args: Any) -> Any:
            begun = time.perf_counter()
            try:
                return bare(*args)
            finally:
                self.seconds += time.perf_counter() - begun

        setattr(model, verb, timed)


def measure(vocabulary: int, examples: int, tick: Any) -> dict[str, dict[str, float]]:
    tokenizer = Tokenizer.load(fixture(f"tokenizer/stdlib-{vocabulary}.model"))
    corners = Corners(pair("lstm", tokenizer))
    for module in CHECKS:  # traces and first pages, once
        runner.run_one(module, corners, 1, 2, "")
    clock = Clock()
    for model in corners.models.values():
        for verb in VERBS:
            clock.watch(model, verb)
    figures = {}
    for module in CHECKS:
        name = module.__name__.rpartition(".")[2]
        tick(f"{vocabulary} {name}")
        clock.seconds, begun = 0.0, time.perf_counter()
        outcome = runner.run_one(module, corners, 0, examples, "")
        whole = time.perf_counter() - begun
        figures[name] = {"examples": outcome.examples, "whole": whole, "models": clock.seconds}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--examples", type=int, default=25)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sizes = (1000, 64_000)
    with progress(Console(stderr=True), len(sizes) * len(CHECKS)) as tick:
        figures = {size: measure(size, options.examples, tick) for size in sizes}
    print(f"{'vocabulary':>10}  {'check':<12}{'examples':>9}{'seconds':>9}{'models':>9}{'ratio':>7}")
    for size, checks in figures.items():
        total = {key: sum(one[key] for one in checks.values()) for key in ("examples", "whole", "models")}
        for name, one in {**checks, "all": total}.items():
            ratio = one["whole"] / one["models"]
            print(f"{size:>10}  {name:<12}{one['examples']:>9}{one['whole']:>9.2f}{one['models']:>9.2f}{ratio:>7.2f}")
    output.write(figures, options.json)


if __name__ == "__main__":
    output.run(main)
