"""What linking costs beside building the models: `python -m benchmarks.linking`.

A pair of 100 Dense layers of unequal widths and names, and one of twice as many: the seconds that
building both sides once takes, and finding every twin. The last line is how many times longer twice
the layers take. `--json FILE` writes the figures.
"""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import output
from parity import backends, strategies
from parity.pair.link_proof import LinkProof
from parity.pair.pair import Pair


def in_torch(layers: int) -> Any:
    from torch import nn

    return nn.Sequential(*(nn.Linear(5 + place, 6 + place) for place in range(layers)))


def in_keras(layers: int) -> Any:
    import keras

    return keras.Sequential([keras.Input((5,)), *(keras.layers.Dense(6 + place) for place in range(layers))])


def measure(layers: int) -> dict[str, float]:
    """Seconds for one pair of so many layers."""
    builds = Pair("deep", partial(in_torch, layers), partial(in_keras, layers), inputs=strategies.arrays(5)).builds
    begun = time.perf_counter()
    models = {(side, "float32"): backend.Model(builds[side], "float32", None) for side, backend in LOADED.items()}
    built = time.perf_counter()
    linking = LinkProof(models, dict(builds), {})
    assert len(linking.links) == layers
    return {"built": built - begun, "linked": time.perf_counter() - built}


LOADED = backends.load()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--layers", type=int, default=100)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    measure(2)  # what the frameworks do once
    figures = {layers: measure(layers) for layers in (options.layers, 2 * options.layers)}
    print(f"{'layers':>8}{'built s':>10}{'linked s':>10}{'linked / built':>16}")
    for layers, found in figures.items():
        print(f"{layers:>8}{found['built']:>10.2f}{found['linked']:>10.2f}{found['linked'] / found['built']:>16.2f}")
    first, second = figures.values()
    print("twice  " + "".join(f"{second[what] / first[what]:>9.1f}x" for what in first))
    output.write(figures, options.json)


if __name__ == "__main__":
    output.run(main)
