"""What a user pays for each promise, parity's and others': `python -m benchmarks.peers`.

The reference transformer over 1,000 pieces, in one process, medians of rounds that alternate. The ways to compare are
those that people use: one batch in float32 by a tolerance that somebody picked; one batch in float64; all hidden states
and the loss, as Hugging Face's tests do. They run the very modules that parity built, eagerly, as people do. Seconds
are the processor's; imports are left out.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.overhead import subject
from parity.canonical.weights import Weights
from parity.checks import forward, runner
from parity.pair.models import PairModels

TOLERANCE = 1e-3  # of the hand-made comparisons: somebody's pick, it judges nothing here
EXACT = 1e-6  # of the hand-made one in float64, which finds the transformer 9e-9 apart
EXAMPLES = 25
Models = Mapping[tuple[str, str], Any]  # whose modules are the frameworks' own, each of its type


def outputs(models: Models, dtype: str, ids: Any) -> tuple[Any, Any]:
    """Both modules' logits, called as a user calls them."""
    import torch

    _set(dtype)
    with torch.no_grad():
        first = models["torch", dtype].module(torch.from_numpy(ids))
    second = models["tensorflow", dtype].module(ids)
    _set("float32")
    return first.numpy(), second.numpy()


def _set(dtype: str) -> None:
    import keras

    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)


def by_numpy(models: Models, ids: Any) -> None:
    first, second = outputs(models, "float32", ids)
    np.testing.assert_allclose(first, second, rtol=TOLERANCE, atol=TOLERANCE)  # its time is measured, it judges nothing


def by_torch(models: Models, ids: Any) -> None:
    import torch

    first, second = (torch.from_numpy(np.array(array)) for array in outputs(models, "float32", ids))
    torch.testing.assert_close(first, second, rtol=TOLERANCE, atol=TOLERANCE)  # its time is measured, it judges nothing


def by_float64(models: Models, ids: Any) -> None:
    first, second = outputs(models, "float64", ids)
    assert np.abs(first - second).max() < EXACT


def by_hidden_states(models: Models, ids: Any) -> None:
    """Each block's output and the loss, all in float32."""
    import keras
    import torch

    ours, theirs = models["torch", "float32"].module, models["tensorflow", "float32"].module
    kept: tuple[list[Any], list[Any]] = ([], [])
    handles = [block.register_forward_hook(lambda *given: kept[0].append(given[2][0].numpy())) for block in ours.blocks]
    calls = [block.call for block in theirs.blocks]

    def call(run: Callable[..., Any], *args: Any, **named: Any) -> Any:
        found = run(*args, **named)
        kept[1].append(found[0].numpy())
        return found

    for block, run in zip(theirs.blocks, calls, strict=True):
        block.call = partial(call, run)
    first, second = outputs(models, "float32", ids)
    for handle in handles:
        handle.remove()
    for block, run in zip(theirs.blocks, calls, strict=True):
        block.call = run
    targets, logits = np.roll(ids, -1, 1), torch.from_numpy(first).flatten(0, 1)
    losses = (
        float(torch.nn.functional.cross_entropy(logits, torch.from_numpy(targets.ravel()))),
        float(keras.ops.mean(keras.losses.sparse_categorical_crossentropy(targets, second, from_logits=True))),
    )
    for one, other in [*zip(*kept, strict=True), (first, second), losses]:
        np.testing.assert_allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE)  # it is timed, it judges nothing


WAYS: dict[str, tuple[Callable[[Models, Any], None], str]] = {
    "`numpy.testing.assert_allclose`": (by_numpy, "one batch in float32, by a tolerance that somebody picked"),
    "`torch.testing.assert_close`": (by_torch, "the same"),
    "by hand in float64": (by_float64, "one batch, what the models mean"),
    "all hidden states and the loss": (by_hidden_states, "one batch in float32, block by block, by a tolerance"),
}


def took(run: Callable[[], Any]) -> float:
    """Seconds of this process's processor."""
    begun = time.process_time()
    run()
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print the figures alone")
    options = parser.parse_args()
    pair, built = subject("transformer"), list[PairModels]()
    begun = {"parity: four models, linked and probed": took(lambda: built.append(PairModels(pair)))}
    corners = built[0]
    corners.load(Weights(0, 1.0))
    ids = np.random.default_rng(0).integers(4, 1000, (4, 13))
    figures: dict[str, list[float]] = {name: [] for name in WAYS}
    ran: list[float] = []
    for turn in range(options.rounds + 1):  # the first is what is done once, and is dropped
        for name, (compare, _) in WAYS.items():
            figures[name].append(took(partial(compare, corners.models, ids)))
        ran.append(took(partial(runner.run_check, forward, corners, turn, EXAMPLES, "")) / EXAMPLES)
        corners.load(Weights(0, 1.0))
    medians = {name: statistics.median(of[1:]) for name, of in figures.items()}
    medians["parity: forward"] = statistics.median(ran[1:])
    if options.json:
        print(json.dumps(begun | medians))
        return
    print("| way | cpu s a comparison | what it promises |")
    print("|---|---|---|")
    rows = {name: (f"{medians[name]:.3f}", promise) for name, (_, promise) in WAYS.items()}
    rows["parity, `forward`"] = (
        f"{medians['parity: forward']:.3f}",
        "drawn texts and weights, no tolerance",
    )
    rows["parity, once for a pair"] = f"{begun.popitem()[1]:.1f}", "four models, linked, every variable, float64 proved"
    for name, (figure, promise) in rows.items():
        print(f"| {name} | {figure} | {promise} |")


if __name__ == "__main__":
    main()
