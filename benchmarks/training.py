"""How far clean trainings and faulty ones are from the training check's limits: `python -m benchmarks.training`.

Runs clean trainings, by the check's own examples and verdicts, on the reference pairs at 1,000 pieces:
the largest difference as a share of its limit, and the largest ratio that `MAX_NOISE_RATIO` limits. Then
trainings that a planted fault concerns: of each the share in which its worst array shows it, over all
trainings the quietest and the loudest. `--json FILE` writes the figures.
"""

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from rich.console import Console

from benchmarks import output
from parity.canonical.optimizers import Recipe
from parity.checks import runner, training
from parity.compare.judge import MAX_NOISE_RATIO, Verdict
from parity.frontends.cli.progress import progress
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.pair.models import PairModels
from parity.reference import PAIRS, pair

EACH = 5  # trainings of a pair with a fault planted
Tick = Callable[[str], None]


def clip_with_a_millionth() -> AbstractContextManager[Any]:
    """The norm that clips is 1e-6 more, as in torch's clip_grad_norm_."""
    import tensorflow as tf

    from parity.backends.keras import training as optimizers

    def clipped(gradients: Any, clip: float) -> list[Any]:
        norm = tf.linalg.global_norm(gradients)
        return [gradient * tf.minimum(clip / (norm + 1e-6), 1) for gradient in gradients]

    return mock.patch.object(optimizers, "clipped", clipped)


def epsilon_inside() -> AbstractContextManager[Any]:
    """RMSprop adds epsilon inside the root, as Keras's does."""

    from parity.backends.keras import training as optimizers

    def rmsprop(recipe: Recipe, rate: float, _: int, variable: Any, gradient: Any, square: Any) -> None:
        gradient = gradient + recipe.decay * variable
        square.assign(recipe.memory * square + (1 - recipe.memory) * gradient * gradient)
        variable.assign_sub(rate * (gradient / (square + recipe.epsilon).sqrt()))

    return mock.patch.dict(optimizers.RULES, rmsprop=rmsprop)


def one_step_ahead() -> AbstractContextManager[Any]:
    """The count of steps, by which Adam corrects its moments, starts at one."""
    from parity.backends.keras import training as optimizers

    rules = {name: optimizers.RULES[name] for name in ("adam", "adamw")}

    def ahead(rule: Callable[..., None]) -> Callable[..., None]:
        return lambda recipe, rate, step, *rest: rule(recipe, rate, step + 1, *rest)

    return mock.patch.dict(optimizers.RULES, {name: ahead(rule) for name, rule in rules.items()})


# What is wrong in TensorFlow's trainer -> (the recipes that it concerns, what plants it).
FAULTS: dict[str, tuple[Callable[[Recipe], bool], Callable[[], AbstractContextManager[Any]]]] = {
    "1e-6 in the norm that clips": (lambda recipe: recipe.clip is not None, clip_with_a_millionth),
    "epsilon inside the root": (lambda recipe: recipe.optimizer == "rmsprop", epsilon_inside),
    "a step count off by one": (lambda recipe: recipe.optimizer.startswith("adam"), one_step_ahead),
}


def trainings(
    corners: PairModels, count: int, seed: int, tick: Tick, concerns: Callable[[Recipe], bool] = lambda _: True
) -> list[list[Verdict]]:
    """The verdicts of each of so many trainings, as the check draws and judges them."""
    found = []

    def verify(corners: PairModels, example: training.Training) -> list[Verdict]:
        found.append(training.verify(corners, example))
        tick(corners.pair.name)
        return []  # whatever they say: a finding would end the measurement

    def examples(corners: PairModels) -> Any:
        return training.examples(corners).filter(lambda example: concerns(example.recipe))

    check: Any = SimpleNamespace(__name__="training", __doc__="", examples=examples, verify=verify)
    runner.run_check(check, corners, seed, count, "")
    return found


def limit_ratio(verdicts: list[Verdict]) -> float:
    """The largest difference of a training, as a share of its limit; a finite number, as JSON wants it."""
    return min(float(np.finfo(float).max), max(verdict.limit_ratio for verdict in verdicts))


def ratio(verdicts: list[Verdict]) -> float:
    return max(row.ratio for verdict in verdicts for row in verdict.rows if row.dtype == "float32")


def clean(corners: PairModels, count: int, seed: int, tick: Tick) -> dict[str, float]:
    found = trainings(corners, count, seed, tick)
    return {"trainings": len(found), "largest": max(map(limit_ratio, found)), "ratio": max(map(ratio, found))}


def faulty(corners: PairModels, fault: str, count: int, seed: int, tick: Tick) -> list[float]:
    """What each training that the fault concerns shows of it."""
    concerns, planted = FAULTS[fault]
    with planted():
        return [limit_ratio(verdicts) for verdicts in trainings(corners, count, seed, tick, concerns)]


def show(figures: dict[str, Any]) -> None:
    limits = f"(limits: 1 and {MAX_NOISE_RATIO['float32']:g})"
    print(f"{'clean pair':<30}{'trainings':>10}{'largest':>10}{'ratio':>8}   {limits}")
    for name, one in figures["clean"].items():
        print(f"{name:<30}{one['trainings']:>10}{one['largest']:>10.2g}{one['ratio']:>8.3g}")
    print(f"{'planted fault':<30}{'trainings':>10}{'quietest':>10}{'loudest':>10}")
    for name, one in figures["faults"].items():
        print(f"{name:<30}{one['trainings']:>10}{one['quietest']:>10.2g}{one['loudest']:>10.2g}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trainings", type=int, default=200, help="clean ones, of all pairs together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    each = max(1, options.trainings // len(PAIRS))
    figures: dict[str, Any] = {"seed": options.seed, "clean": {}, "faults": {}}
    shown: dict[str, list[float]] = {fault: [] for fault in FAULTS}
    tokenizer = Tokenizer.load(fixture("tokenizer/stdlib-1000.model"))
    with progress(Console(stderr=True), len(PAIRS) * (each + EACH * len(FAULTS))) as tick:
        for name in PAIRS:
            corners = PairModels(pair(name, tokenizer))
            figures["clean"][name] = clean(corners, each, options.seed, tick)
            for fault, effects in shown.items():
                effects += faulty(corners, fault, EACH, options.seed, tick)
    for fault, effects in shown.items():
        figures["faults"][fault] = {"trainings": len(effects), "quietest": min(effects), "loudest": max(effects)}
    show(figures)
    output.write(figures, options.json)


if __name__ == "__main__":
    output.run(main)
