"""The two constants of the square, measured on the clean LSTM pair: `python -m benchmarks.constants`.

Draws cases as the checks do and prints, for logits, loss and gradients at each scale of the weights,
the largest difference of meaning and the largest noise ratio, in the unit in which `FLOOR` and
`RATIO` limit them. A clean pair must stay well below both.
"""

import argparse
from collections import defaultdict

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings

from parity.fixtures import fixture
from parity.pair import Corners
from parity.reference import pair
from parity.square import EPS32, FLOOR, RATIO, Square, judge, norm
from parity.strategies import Case, cases
from parity.tokenizer import Tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    corners = Corners(pair("lstm", Tokenizer.load(fixture("tokenizer/stdlib-1000.model"))))
    floors: dict[tuple[str, float], list[float]] = defaultdict(list)
    ratios: dict[tuple[str, float], list[float]] = defaultdict(list)

    def record(name: str, weights: float, square: Square, scale: float) -> None:
        floors[name, weights].append(judge(name, square, scale).headroom * FLOOR)
        quiet, loud = sorted(max(edge.worst, EPS32 * scale) for edge in square.noise)
        ratios[name, weights].append(loud / quiet)

    @seed(options.seed)
    @settings(
        max_examples=options.examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(corners.tokenizer))
    def measure(case: Case) -> None:
        corners.ensure(case.weights)
        batch = case.batch(corners.tokenizer.pad)
        logits, loss = corners.logits(batch.ids, batch.mask), corners.loss(batch.ids, batch.targets)
        gradients = corners.gradients(batch.ids, batch.targets)
        total = norm(gradients)
        record("logits", case.weights.scale, logits, logits.meaning.scale)
        record("loss", case.weights.scale, loss, max(logits.meaning.scale, loss.meaning.scale))
        for name, square in gradients.items():
            record(f"gradient of {name}", case.weights.scale, square, total)

    measure()
    print(f"{'array':<32}{'weights':>8}{'pairs':>7}{'meaning: max':>14}{'median':>9}{'noise ratio: max':>18}")
    for key in sorted(floors):
        name, weights = key
        meaning, ratio = np.array(floors[key]), np.array(ratios[key])
        print(
            f"{name:<32}{weights:>8g}{len(meaning):>7}{meaning.max():>14.3g}{np.median(meaning):>9.2g}"
            f"{ratio.max():>18.3g}"
        )
    worst, loudest = max(map(max, floors.values())), max(map(max, ratios.values()))
    print(f"FLOOR {FLOOR:g} is {FLOOR / worst:.1f} times the largest, RATIO {RATIO:g} {RATIO / loudest:.1f} times")


if __name__ == "__main__":
    main()
