"""Transfer beside the bare copies that it is made of: `python -m benchmarks.transfer`.

A model of a 64,000 x 1,024 embedding and a head that holds its transpose: each way, transfer and the
frameworks' own copies take turns in one process. A line is the fastest of each, and their ratio.
`--json FILE` writes the figures.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks import output
from parity import backends
from parity.backends import SIDES
from parity.canonical.weights import Weights, draw
from parity.frontends.cli.progress import progress
from parity.pair import transfer

VOCAB, WIDTH = 64_000, 1_024


def in_torch() -> Any:
    from torch import nn

    return nn.Sequential(nn.Embedding(VOCAB, WIDTH), nn.Linear(WIDTH, VOCAB, bias=False))


def in_keras() -> Any:
    import keras

    embedding, head = keras.layers.Embedding(VOCAB, WIDTH), keras.layers.Dense(VOCAB, use_bias=False)
    embedding.name, head.name = "0", "1"
    return keras.Sequential([keras.Input((None,), dtype="int64"), embedding, head])


def to_keras(torch: Any, keras: Any) -> None:
    """As one writes it by hand."""
    (table, kernel), (embeddings, head) = torch.module.parameters(), keras.module.weights
    embeddings.assign(table.detach().numpy())
    head.assign(kernel.detach().numpy().T)


def to_torch(torch: Any, keras: Any) -> None:
    import torch as framework

    (table, kernel), (embeddings, head) = torch.module.parameters(), keras.module.weights
    with framework.no_grad():
        table.copy_(framework.from_numpy(embeddings.numpy()))
        kernel.copy_(framework.from_numpy(head.numpy().T))


def seconds(subject: Callable[..., None], *given: Any) -> float:
    begun = time.perf_counter()
    subject(*given)
    return time.perf_counter() - begun


def measure(repeat: int, tick: Any) -> dict[str, dict[str, float]]:
    loaded = backends.load()
    torch, keras = (
        loaded[side].Model(make, "float32", 0) for side, make in zip(SIDES, (in_torch, in_keras), strict=True)
    )
    layout = transfer.layout("torch", torch)
    values = draw(layout, Weights(0, 1.0))
    ways = {
        "torch to tensorflow": (torch, keras, to_keras),
        "tensorflow to torch": (keras, torch, to_torch),
    }
    figures = {}
    for way, (source, target, bare) in ways.items():
        transfer.write(source, values, layout)
        times: dict[str, list[float]] = {"bare": [], "transfer": []}
        for _ in range(repeat):
            tick(way)
            times["bare"].append(seconds(bare, torch, keras))
            times["transfer"].append(seconds(transfer.transfer, source, target, layout))
        assert all(np.array_equal(values[name], array) for name, array in target.read().items())
        figures[way] = {what: min(of) for what, of in times.items()}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with progress(Console(stderr=True), 2 * options.repeat) as tick:
        figures = measure(options.repeat, tick)
    print(f"{f'{VOCAB:,} x {WIDTH:,}, twice':<24}{'bare s':>10}{'transfer s':>12}{'ratio':>8}")
    for way, found in figures.items():
        print(f"{way:<24}{found['bare']:>10.3f}{found['transfer']:>12.3f}{found['transfer'] / found['bare']:>8.2f}")
    output.write(figures, options.json)


if __name__ == "__main__":
    output.run(main)
