"""The square's two constants, measured: `python -m benchmarks.constants` (ten minutes; `--pairs 500` for a look).

Draws clean pairs, random stacks of layers with random weights, scales and ids, and records how far
each array is apart in the unit in which `FLOOR` limits it, and each noise ratio; then the same for
planted faults, the loudest of as many examples as a check draws. Writes the picture and the figures
of the page `docs/verdicts.md`, and the same as `docs/verdicts.json`.
"""

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks import output, stacks
from parity.display import progress
from parity.files import replacing
from parity.layers import Weights
from parity.pair import Corners
from parity.run import EXAMPLES
from parity.square import FLOOR, RATIO, Square, judge, norm

DOCS = Path(__file__).parent.parent / "docs"
EACH = 50  # pairs of one stack: building costs more than running
FULL = stacks.Stack(("embedding", "lstm", "dense"), (131, 17, 23, 131))
Figures = dict[str, list[tuple[float, float]]]


def measure(corners: Corners, vocabulary: int, random: np.random.Generator, scale: float) -> Figures:
    """Of one pair: array -> [(difference of meaning in units of the floor, noise ratio)]."""
    corners.load(Weights(int(random.integers(2**31)), scale))
    ids = random.integers(0, vocabulary, (random.integers(1, 5), random.integers(1, 13)))
    targets = random.integers(1, vocabulary, ids.shape)
    logits, loss = corners.logits(ids, np.ones(ids.shape, bool)), corners.loss(ids, targets)
    gradients = corners.gradients(ids, targets)
    arrays = {"logits": (logits, logits.meaning.scale), "loss": (loss, max(logits.meaning.scale, loss.meaning.scale))}
    total = norm(gradients)
    for name, square in gradients.items():
        layer, _, parameter = name.partition(".")
        arrays[f"gradient of {layer.rstrip('0123456789')}.{parameter}"] = (square, total)
    return {name: [_units(square, size)] for name, (square, size) in arrays.items()}


def _units(square: Square, scale: float) -> tuple[float, float]:
    verdict = judge("", square, scale)
    return verdict.headroom * FLOOR, verdict.rows[1].ratio


def clean(pairs: int, random: np.random.Generator, tick: Any) -> Figures:
    found: Figures = defaultdict(list)
    for _ in range(pairs // EACH):
        stack = stacks.draw(random)
        corners = stacks.corners(stack)
        for _ in range(EACH):
            for name, figures in measure(corners, stack.sizes[0], random, 10 ** random.uniform(-3, 2)).items():
                found[name] += figures
            tick("clean")
    return found


def faulty(random: np.random.Generator, tick: Any) -> dict[str, float]:
    """Fault -> its loudest difference in units of the floor over a check's examples."""
    loudest = {}
    for name, fault in stacks.FAULTS.items():
        corners = stacks.corners(FULL, fault)
        figures = [measure(corners, FULL.sizes[0], random, 1.0)["logits"][0][0] for _ in range(EXAMPLES)]
        loudest[name] = max(figures)
        tick("faults")
    return loudest


def summary(found: Figures, faults: dict[str, float], pairs: int, seed: int) -> dict[str, Any]:
    both = {name: np.array(figures) for name, figures in sorted(found.items())}
    worst, ratio = (max(float(array[:, column].max()) for array in both.values()) for column in (0, 1))
    quietest = min(faults, key=lambda name: faults[name])
    return {
        "pairs": pairs,
        "seed": seed,
        "floor": FLOOR,
        "ratio": RATIO,
        "largest healthy difference": worst,
        "largest healthy noise ratio": ratio,
        "quietest fault": quietest,
        "its difference": faults[quietest],
        "arrays": {
            name: {
                "count": len(a),
                "median": float(np.median(a[:, 0])),
                "largest": float(a[:, 0].max()),
                "ratio": float(a[:, 1].max()),
            }
            for name, a in both.items()
        },
        "faults": dict(sorted(faults.items(), key=lambda item: item[1])),
    }


def picture(found: Figures, faults: dict[str, float], path: Path) -> None:
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "parity"
    differences = np.concatenate([np.array(figures)[:, 0] for figures in found.values()])
    ratios = np.concatenate([np.array(figures)[:, 1] for figures in found.values()])
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.9), width_ratios=(3, 2), layout="constrained")
    bins = np.logspace(-4, 15, 77)
    left.hist(np.clip(differences, 1e-4, None), bins, color="#4c8f6b", label=f"{differences.size:,} clean arrays")
    for place, effect in enumerate(faults.values()):
        left.axvline(effect, color="#b5493c", lw=1, label="planted faults" if place == 0 else None)
    left.axvline(FLOOR, color="black", ls="--", label=f"FLOOR = {FLOOR:g}")
    left.set(xscale="log", yscale="log", xlabel="difference in float64, in units of rounding", ylabel="arrays")
    left.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    right.hist(ratios, np.logspace(0, 4, 41), color="#4c8f6b")
    right.axvline(RATIO, color="black", ls="--", label=f"RATIO = {RATIO:g}")
    right.set(xscale="log", yscale="log", xlabel="noisier side's float32 error over the other's")
    right.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    with replacing(path) as temporary:
        figure.savefig(temporary, metadata={"Date": None})


def page(figures: dict[str, Any], path: Path) -> None:
    """Put the figures where the page has a place for them."""
    worst, ratio = figures["largest healthy difference"], figures["largest healthy noise ratio"]
    lines = [
        f"| | constant | largest of {figures['pairs']:,} clean pairs | margin | quietest fault | margin |",
        "| --- | --- | --- | --- | --- | --- |",
        f"| `FLOOR` | {FLOOR:g} | {worst:.3g} | {FLOOR / worst:.0f} x | {figures['its difference']:.2g} "
        f"({figures['quietest fault']}) | {figures['its difference'] / FLOOR:.0f} x |",
        f"| `RATIO` | {RATIO:g} | {ratio:.3g} | {RATIO / ratio:.0f} x | | |",
        "",
        "| array | pairs | median | largest | noise ratio |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {name} | {one['count']:,} | {one['median']:.2g} | {one['largest']:.3g} | {one['ratio']:.3g} |"
            for name, one in figures["arrays"].items()
        ),
        "",
        "| planted fault | difference |",
        "| --- | --- |",
        *(f"| {name} | {effect:.2g} |" for name, effect in figures["faults"].items()),
        "",
        "Differences are in units of rounding, those that `FLOOR` counts.",
    ]
    before, opening, rest = path.read_text().partition(
        "<!-- figures: python -m benchmarks.constants writes from here -->"
    )
    _, closing, after = rest.partition("<!-- to here -->")
    with replacing(path) as temporary:
        temporary.write_text(before + opening + "\n\n" + "\n".join(lines) + "\n\n" + closing + after)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", type=Path, default=DOCS, help="the directory of verdicts.md")
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    with progress(Console(stderr=True), options.pairs + len(stacks.FAULTS)) as tick:
        found, faults = clean(options.pairs, random, tick), faulty(random, tick)
    figures = summary(found, faults, options.pairs, options.seed)
    print(f"{'array':<36}{'count':>7}{'median':>10}{'largest':>10}{'noise ratio':>13}")
    for name, one in figures["arrays"].items():
        print(f"{name:<36}{one['count']:>7}{one['median']:>10.2g}{one['largest']:>10.3g}{one['ratio']:>13.3g}")
    for name, effect in figures["faults"].items():
        print(f"{name:<36}{'':>17}{effect:>10.2g}")
    picture(found, faults, options.docs / "verdicts.svg")
    page(figures, options.docs / "verdicts.md")
    output.write(figures, options.docs / "verdicts.json")


if __name__ == "__main__":
    output.run(main)
