"""Every check on every pair of the zoo: an alarm, a refusal or an error there is parity's own fault.

`python -m benchmarks.zoo --family cnn2d --seeds 3 --examples 2` prints a line a pair, and what was said against it.
"""

import importlib
import sys
import time
from collections import Counter

import click

from parity import api
from parity.checks import checks_of, runner
from parity.dtypes import PRECISIONS
from parity.errors import ParityError
from parity.pair.pair import Pair

FAMILIES = (
    "mlp",
    "activations",
    "cnn1d",
    "cnn2d",
    "residual",
    "recurrent",
    "temporal",
    "attention",
    "transformers",
    "autoencoders",
    "texts",
    "several",
    "norms",
    "gated",
    "pooling",
)


def pairs_of(family: str) -> tuple[Pair, ...]:
    """The pairs of a family."""
    found: tuple[Pair, ...] = importlib.import_module(f"benchmarks.zoo.{family}").PAIRS
    return found


def tried(pair: Pair, seeds: int, examples: int) -> tuple[str, list[str]]:
    """What a pair came to over all seeds (holds, alarm, refused, error), and the text of all that speaks against it."""
    try:
        corners = runner.prepare(pair, PRECISIONS, checks_of(pair))
    except ParityError as error:
        return "refused", [str(error)]
    except Exception as error:  # noqa: BLE001 a crash of any kind is a result, and the next pair is tried
        return "error", [f"{type(error).__name__}: {error}"]
    word, told = "holds", []
    for seed in range(seeds):
        report = api.run_checks(corners, api.Asked(seed, examples, target=pair.name))
        failures = [check.error.text() for check in report.checks if check.error]
        told += [f"seed {seed}: {text}" for text in (*(finding.text() for finding in report.findings), *failures)]
        word = "error" if failures else "alarm" if report.findings and word != "error" else word
    return word, told


@click.command()
@click.option("--family", type=click.Choice(FAMILIES), multiple=True, help="Families to try; all if none is named.")
@click.option("--only", default="", help="The one pair to try.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Seeds 0, 1, ... to draw from.")
@click.option("--examples", default=2, show_default=True, type=click.IntRange(1), help="Examples a check.")
def main(family: tuple[str, ...], only: str, seeds: int, examples: int) -> None:
    """Try the zoo. Exits 1 unless everything holds."""
    words: Counter[str] = Counter()
    for name in family or FAMILIES:
        for pair in pairs_of(name):
            if only in ("", pair.name):
                begun = time.perf_counter()
                word, told = tried(pair, seeds, examples)
                words[word] += 1
                print(f"{name:13} {pair.name:28} {word:8} {time.perf_counter() - begun:6.1f} s", flush=True)
                for text in told:
                    print("    " + text.replace("\n", "\n    "), flush=True)
    print(
        f"{words.total()} pairs, {seeds} seeds each: " + ", ".join(f"{count} {word}" for word, count in words.items())
    )
    sys.exit(set(words) != {"holds"})


if __name__ == "__main__":
    main()
