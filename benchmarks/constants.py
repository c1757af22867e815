"""The square's constants, measured: `python -m benchmarks.constants` (half an hour; `--pairs 500` for a look).

Draws clean pairs, random stacks of layers and reference twins of random sizes, with random weights,
scales and ids, and records how far each array is apart in the unit in which `MAX_FLOAT64_ULPS` limits it, and
each ratio that `MAX_NOISE_RATIO` limits: of the sides' float32 errors, with four corners and with either side's
float64 missing, and in half of the pairs of their bfloat16 and float16 errors. Then the same for
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
from parity.canonical.weights import Weights
from parity.checks.runner import EXAMPLES
from parity.compare.judge import MAX_FLOAT64_ULPS, MAX_NOISE_RATIO
from parity.compare.square import norm
from parity.dtypes import PRECISIONS, Array
from parity.files import replacing
from parity.frontends.cli.progress import progress
from parity.pair.answer import Answer
from parity.pair.models import PairModels
from parity.reference import PAIRS
from parity.strategies import SCALES

DOCS = Path(__file__).parent.parent / "docs"
EACH = 50  # pairs of one build: building costs more than running
TWINS = 3  # every so many builds, a reference twin
LOW = ("float16", "bfloat16")
RATIOS = ("float32", "one side's float64", *LOW)
# array -> figure ("units", or one of RATIOS) -> its values over all pairs
Figures = dict[str, dict[str, list[float]]]
FIGURES = ("units", *RATIOS)


def drawn(corners: PairModels, random: np.random.Generator, scale: float) -> tuple[Answer, Array, Array]:
    """Logits of drawn ids with drawn weights; the ids, and targets."""
    vocab = corners.tokenizer.vocab
    corners.load(Weights(int(random.integers(2**31)), scale))
    ids = random.integers(0, vocab, (random.integers(1, 5), random.integers(1, 13)))
    targets = random.integers(1, vocab, ids.shape)
    return corners.logits(ids, np.ones(ids.shape, bool)), ids, targets


def of_logits(corners: PairModels, random: np.random.Generator, scale: float) -> dict[str, float]:
    """Of one pair's logits alone: figure -> value."""
    logits, _, _ = drawn(corners, random, scale)
    return _figures(logits, logits.float64_difference.scale)


def measure(corners: PairModels, random: np.random.Generator, scale: float) -> dict[str, dict[str, float]]:
    """Of one pair: array -> figure -> value."""
    logits, ids, targets = drawn(corners, random, scale)
    loss = corners.loss(ids, targets)
    gradients = corners.gradients(ids, targets)
    arrays = {
        "logits": (logits, logits.float64_difference.scale),
        "loss": (loss, max(logits.float64_difference.scale, loss.float64_difference.scale)),
    }
    total = norm(gradients)
    arrays |= {f"gradient of {name}": (square, total) for name, square in gradients.items()}
    return {name: _figures(square, size) for name, (square, size) in arrays.items()}


def _figures(square: Answer, scale: float) -> dict[str, float]:
    verdict = square.judge("", scale)
    figures = {"units": verdict.limit_ratio * MAX_FLOAT64_ULPS}
    figures |= {row.dtype: row.ratio for row in verdict.rows if row.dtype != "float64"}
    first, second = square.rows["float64"]
    upper = square.rows["float32"]
    three = [
        Answer({"float32": upper, "float64": lower}, again=square.again) for lower in ((first, None), (None, second))
    ]
    return figures | {"one side's float64": max(one.judge("", scale).rows[0].ratio for one in three)}


def clean(pairs: int, random: np.random.Generator, tick: Any) -> Figures:
    found: Figures = defaultdict(lambda: defaultdict(list))
    drawn = stacks.drawn(int(random.integers(2**31)), pairs // EACH)
    for build, (vocab, stack) in enumerate(drawn):
        twin = list(PAIRS)[build // TWINS % len(PAIRS)]
        whole = build % TWINS == 0
        pair = stacks.twin_pair(twin, random) if whole else stacks.stack_pair(stack, vocab)
        corners = PairModels(pair, (*PRECISIONS, *LOW) if build % 2 else PRECISIONS)
        top = max(SCALES) if build % 2 else 100.0  # a lower precision is lost altogether beyond what checks draw
        for _ in range(EACH):
            scale = 10 ** random.uniform(-3, np.log10(top))
            for array, figures in measure(corners, random, scale).items():
                for figure, value in figures.items():
                    # Beyond float16's range one side may be infinite, and no ratio is.
                    place = figure if np.isfinite(value) else "overflow"
                    found[_name(array, twin if whole else "")][place].append(value if place == figure else scale)
            tick("clean")
    return found


def _name(array: str, twin: str) -> str:
    """Arrays of one kind under one name: those of a stack by layer kind, those of a twin together."""
    kind, _, layer = array.partition(" of ")
    if twin:
        return f"{twin}: {kind}"
    name, _, parameter = layer.partition(".")
    return f"gradient of {name.rstrip('0123456789')}.{parameter}" if layer else f"stacks: {array}"


def loudest(faults: dict[str, stacks.Fault], figure: str, random: np.random.Generator, tick: Any) -> dict[str, float]:
    """Fault -> the largest figure of its logits over as many examples as a check draws."""
    found = {}
    for name, fault in faults.items():
        corners = fault.corners()
        # JSON has no infinity.
        found[name] = min(
            np.finfo(float).max,
            max(of_logits(corners, random, random.choice(SCALES))[figure] for _ in range(EXAMPLES)),
        )
        tick("faults")
    return dict(sorted(found.items(), key=lambda item: item[1]))


def summary(found: Figures, faults: dict[str, float], unstable: dict[str, float]) -> dict[str, Any]:
    largest = {figure: max(max(values[figure], default=1.0) for values in found.values()) for figure in FIGURES}
    return {
        "floor": MAX_FLOAT64_ULPS,
        "ratio": MAX_NOISE_RATIO,
        "largest": largest,
        "overflows": sorted(scale for values in found.values() for scale in values["overflow"]),
        "arrays": {
            name: {
                "count": len(values["units"]),
                "median": float(np.median(values["units"])),
                **{figure: max(values[figure], default=1.0) for figure in FIGURES},
            }
            for name, values in sorted(found.items())
        },
        "faults": faults,
        "unstable": unstable,
    }


def picture(found: Figures, figures: dict[str, Any], path: Path) -> None:
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "parity"
    every = {figure: np.array([v for values in found.values() for v in values[figure]]) for figure in FIGURES}
    chart, (left, right) = plt.subplots(1, 2, figsize=(11, 3.9), width_ratios=(3, 2), layout="constrained")
    label = f"{every['units'].size:,} clean arrays"
    left.hist(np.clip(every["units"], 1e-4, None), np.logspace(-4, 15, 77), color=CLEAN, label=label)
    for place, effect in enumerate(figures["faults"].values()):
        left.axvline(effect, color=FAULT, lw=1, label="planted faults" if place == 0 else None)
    left.axvline(MAX_FLOAT64_ULPS, color="black", ls="--", label=f"MAX_FLOAT64_ULPS = {MAX_FLOAT64_ULPS:g}")
    left.set(xscale="log", yscale="log", xlabel="difference in float64, in units of rounding", ylabel="arrays")
    left.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    for figure, color in zip(RATIOS, SHADES, strict=True):
        right.hist(every[figure], np.logspace(0, 5, 41), color=color, histtype="step", lw=1.5, label=figure)
    for place, effect in enumerate(figures["unstable"].values()):
        reach = min(effect, REACH)
        right.axvline(reach, color=FAULT, lw=1, label="planted faults" if place == 0 else None)
    for limit in sorted(set(MAX_NOISE_RATIO.values())):
        right.axvline(limit, color="black", ls="--", lw=1, label=f"MAX_NOISE_RATIO = {limit:g}")
    right.set(xscale="log", yscale="log", xlim=(1, REACH), xlabel="noisier side's error over the other's")
    right.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize="small")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    with replacing(path) as temporary:
        chart.savefig(temporary, metadata={"Date": None})


REACH = 1e5  # what is larger stands at the edge of the picture
CLEAN, FAULT = "#4c8f6b", "#b5493c"
SHADES = ("#4c8f6b", "#1f4e79", "#8a6fb0", "#c28e2c")


def page(figures: dict[str, Any], path: Path) -> None:
    """Put the figures where the page has a place for them."""
    largest, faults, unstable = (figures[key] for key in ("largest", "faults", "unstable"))
    quietest, steadiest = next(iter(faults)), next(iter(unstable))
    lines = [
        f"| constant | | largest of {figures['pairs']:,} clean pairs | margin | quietest fault | margin |",
        "| --- | --- | --- | --- | --- | --- |",
        f"| `MAX_FLOAT64_ULPS` | {MAX_FLOAT64_ULPS:g} | {largest['units']:.3g} | "
        f"{MAX_FLOAT64_ULPS / largest['units']:.3g} x | "
        f"{faults[quietest]:.2g} ({quietest}) | {faults[quietest] / MAX_FLOAT64_ULPS:.3g} x |",
    ]
    for figure in RATIOS:
        limit = MAX_NOISE_RATIO.get(figure, MAX_NOISE_RATIO["float32"])
        fault = f"{_told(unstable[steadiest])} ({steadiest}) | {unstable[steadiest] / limit:.3g} x"
        name = f"| `MAX_NOISE_RATIO`, {figure} | {limit:g} | {largest[figure]:.3g} | {limit / largest[figure]:.3g} x |"
        lines.append(f"{name} {fault if figure == 'float32' else '|'} |")
    lines += [
        "",
        "| array | pairs | median | largest | " + " | ".join(f"ratio, {figure}" for figure in RATIOS) + " |",
        "| --- | --- | --- | --- | " + " | ".join("---" for _ in RATIOS) + " |",
    ]
    for name, one in figures["arrays"].items():
        ratios = " | ".join(f"{one[figure]:.3g}" for figure in RATIOS)
        lines.append(f"| {name} | {one['count']:,} | {one['median']:.2g} | {one['units']:.3g} | {ratios} |")
    for title, effects in (("planted fault | difference", faults), ("planted fault | ratio, float32", unstable)):
        lines += [
            "",
            f"| {title} |",
            "| --- | --- |",
            *(f"| {name} | {_told(effect)} |" for name, effect in effects.items()),
        ]
    lines += ["", "Differences are in units of rounding, those that `MAX_FLOAT64_ULPS` counts."]
    if figures["overflows"]:
        count = sum(one["count"] for one in figures["arrays"].values())
        lines[-1] += (
            f" Of all {count:,} arrays, {len(figures['overflows'])} are finite in float16 on one side only, "
            f"with weights of scale {figures['overflows'][0]:.0f} and more."
        )
    before, opening, rest = path.read_text().partition(
        "<!-- figures: python -m benchmarks.constants writes from here -->"
    )
    _, closing, after = rest.partition("<!-- to here -->")
    with replacing(path) as temporary:
        temporary.write_text(before + opening + "\n\n" + "\n".join(lines) + "\n\n" + closing + after)


def _told(effect: float) -> str:
    return f"{effect:.2g}" if effect < np.finfo(float).max else "infinite"


def show(figures: dict[str, Any]) -> None:
    print(f"{'array':<40}{'count':>7}{'median':>9}{'largest':>9}" + "".join(f"{figure:>15}" for figure in RATIOS))
    for name, one in figures["arrays"].items():
        ratios = "".join(f"{one[figure]:>15.3g}" for figure in RATIOS)
        print(f"{name:<40}{one['count']:>7}{one['median']:>9.2g}{one['units']:>9.3g}{ratios}")
    for kind in ("faults", "unstable"):
        for name, effect in figures[kind].items():
            print(f"{name:<40}{_told(effect):>25}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", type=Path, default=DOCS, help="the directory of verdicts.md")
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    total = options.pairs + len(stacks.FAULTS) + len(stacks.UNSTABLE)
    with progress(Console(stderr=True), total) as tick:
        found = clean(options.pairs, random, tick)
        faults = loudest(stacks.FAULTS, "units", random, tick)
        unstable = loudest(stacks.UNSTABLE, "float32", random, tick)
    figures = {"pairs": options.pairs, "seed": options.seed, **summary(found, faults, unstable)}
    show(figures)
    picture(found, figures, options.docs / "verdicts.svg")
    page(figures, options.docs / "verdicts.md")
    output.write(figures, options.docs / "verdicts.json")


if __name__ == "__main__":
    output.run(main)
