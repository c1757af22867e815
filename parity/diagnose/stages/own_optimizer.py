"""Why two optimizers of a pair's own differ: which of their settings, each taken from the other side alone.

Both sides' settings are read and give that side's steps to the last digits. A setting is a cause if the second side's
steps are its own no longer when it has the first side's value of that setting and of nothing else.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from parity.canonical.faulty_recipe import Clipping, Decay, Epsilon, FaultyRecipe
from parity.diagnose import Cause
from parity.diagnose.search import Explained, gap
from parity.dtypes import Array
from parity.pair import optimizers
from parity.pair.models import PairModels
from parity.pair.optimizers import Settings, Stepped, in_form, judged_rates

WHERE = "optimizer"
# Optimizers that are one class of both libraries: which of the three it is, is a matter of its momentum.
FAMILIES = {"sgd": "SGD", "momentum": "SGD", "nesterov": "SGD"}


@dataclass(frozen=True)
class Setting:
    """A cause, how it is told, and what belongs to it of a recipe and of what is done otherwise.

    `of_recipe` are fields of `Recipe`, `others` of `FaultyRecipe`; `told(settings)` says in a few words what a side has
    of it.
    """

    name: str
    told: Callable[[FaultyRecipe], str]
    of_recipe: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def taken(self, one: FaultyRecipe, other: FaultyRecipe) -> FaultyRecipe:
        """The first recipe with the other's value of this setting and of nothing else."""
        recipe: dict[str, Any] = {name: getattr(other.recipe, name) for name in self.of_recipe}
        others: dict[str, Any] = {name: getattr(other, name) for name in self.others}
        return replace(one, recipe=replace(one.recipe, **recipe), **others)


def _memory(one: FaultyRecipe) -> str:
    more = (", the largest so far" if one.largest else "") + (", less the squared mean" if one.centered else "")
    return f"memory {one.recipe.memory:g}{more}"


def _momentum(one: FaultyRecipe) -> str:
    recipe = one.recipe
    if recipe.optimizer == "sgd":
        return "no momentum"
    dampened = f", dampened by {one.dampening:g}" if one.dampening else ""
    nesterov = " in Nesterov's form" if recipe.optimizer == "nesterov" else ""
    warming = f" with a momentum decay of {recipe.momentum_decay:g}" if recipe.optimizer == "nadam" else ""
    return f"momentum {recipe.momentum:g}{nesterov}{warming}{dampened}"


def _decay(one: FaultyRecipe) -> str:
    form = "in the gradient" if one.decay is Decay.COUPLED else "beside the gradient (decoupled)"
    return f"decay {one.recipe.decay:g} {form}" if one.recipe.decay else "no decay"


def _clipping(one: FaultyRecipe) -> str:
    forms = {
        Clipping.GLOBAL_NORM: "all gradients together clipped to a norm of {:g}",
        Clipping.EACH_VARIABLE: "each variable's gradient clipped to a norm of {:g}",
        Clipping.EACH_ELEMENT: "each element of a gradient clipped to {:g}",
    }
    return "no clipping" if one.recipe.clip is None else forms[one.clipping].format(one.recipe.clip)


PLACES = {
    Epsilon.OUTSIDE: "epsilon added to the root",
    Epsilon.INSIDE: "epsilon under the root",
    Epsilon.SQUARED: "epsilon's square under the root",
    Epsilon.UNCORRECTED: "epsilon added to the root before the correction",
    Epsilon.UNCORRECTED_INSIDE: "epsilon under the root before the correction",
}
FIXES = {
    "epsilon": "give both the same: eps= of torch, epsilon= of Keras, which are 1e-8 and 1e-7 if they are left out",
    "epsilon placement": (
        "add epsilon at the same place in a class of your own: to the root as torch does, or as Keras's own class"
    ),
    "memory": (
        "give both the same: alpha= or the second of betas= of torch, rho= or beta_2= of Keras, which are 0.99 and 0.9 "
        "in RMSprop if they are left out; amsgrad= and centered= alike"
    ),
    "momentum": "give both the same momentum, nesterov and dampening; Keras's Nadam is torch's with momentum_decay=1.0",
    "decay form": (
        "decay the same parameters by the same amount in the same form: weight_decay= is in the gradient of torch's "
        "SGD, Adam and RMSprop, and beside it in AdamW and in all of Keras's, where AdamW has 0.004 if it is left out "
        "and torch's 0.01"
    ),
    "clipping": (
        "clip alike: clip_grad_norm_ of torch is global_clipnorm= of Keras, whose clipnorm= clips each variable"
    ),
    "rate": (
        "give both sides the same rate at every step: a schedule of torch begins with its rate of step 0, as one of "
        "Keras does, and goes on behind each step"
    ),
}
RATE = Setting("rate", lambda _: "", ("rates",))
SETTINGS = (
    Setting("epsilon", lambda one: f"epsilon {one.recipe.epsilon:g}", ("epsilon",)),
    Setting("epsilon placement", lambda one: PLACES[one.epsilon], others=("epsilon",)),
    Setting("memory", _memory, ("memory",), ("largest", "centered")),
    Setting("momentum", _momentum, ("optimizer", "momentum", "momentum_decay"), ("dampening",)),
    Setting("decay form", _decay, ("decay",), ("decay",)),
    Setting("clipping", _clipping, ("clip",), ("clipping",)),
    RATE,
)


def explain(corners: PairModels, example: Any) -> Explained:
    """The settings that differ, and what was ruled out. `example` is that of the check of training."""
    first, second = optimizers.stepped(corners, example.weights, example.batches(corners))
    unknown = [one.side for one in (first, second) if one.settings is None]
    if first.settings is None or second.settings is None:
        return [], [
            f"{' and '.join(unknown)}: the steps of its own optimizer are not what its settings say by a formula"
        ]
    # What a library fixes, as where epsilon stands, is no setting: the first side's are brought to the second's form.
    wanted = in_form(first, second)
    optimizers_of = [next(iter(of.values())).recipe.optimizer for of in (wanted, second.settings)]
    kinds = [FAMILIES.get(name, name) for name in optimizers_of]
    if kinds[0] != kinds[1]:
        before, after = (gap(second.trace.changes, second.trace.after_each(of)) for of in (wanted, second.settings))
        description = f"{first.side} trains by {kinds[0]}, {second.side} by {kinds[1]}"
        return [Cause("optimizer", WHERE, description, "train by the same optimizer on both sides", before, after)], []
    causes = list(_causes(first, second, wanted, second.settings))
    return causes, [] if causes else ["no setting of the two optimizers differs in what it does"]


def _causes(first: Stepped, second: Stepped, wanted: Settings, own: Settings) -> Iterator[Cause]:
    """A cause for each setting whose value, taken from the first side alone, no longer gives the second's steps.

    `wanted` are the first side's settings in the second's form, `own` the second's.
    """
    changes, trace = second.trace.changes, second.trace
    limit = optimizers.limit(trace)
    after = gap(changes, trace.after_each(own))
    for setting in SETTINGS:
        mixed = {name: setting.taken(own[name], wanted[name]) for name in own}
        before = gap(changes, trace.after_each(mixed))
        if before > limit:
            yield from _told(setting, (first, second), mixed, own, before, after)
    if judged_rates((first.side, second.side), first.rates, second.rates).fails and np.array_equal(
        _steps(wanted), _steps(own)
    ):
        # Of steps that were not taken: what is compared are the rates themselves, and equal ones leave nothing.
        descriptions = _rates(first, second, first.rates, second.rates, first.at)
        yield Cause(
            "rate", WHERE, descriptions, FIXES["rate"], float(np.abs(np.subtract(first.rates, second.rates)).max()), 0.0
        )


def _told(
    setting: Setting, sides: tuple[Stepped, Stepped], mixed: Settings, own: Settings, before: float, after: float
) -> Iterator[Cause]:
    """One cause for each two values of a setting, with the parameters that have them unless all do."""
    first, second = sides
    differing = {name: (mixed[name], own[name]) for name in own if mixed[name] != own[name]}
    for ours, theirs in dict.fromkeys(differing.values()):
        names = [name for name in differing if differing[name] == (ours, theirs)]
        if setting is RATE:
            descriptions = _rates(
                first, second, ours.recipe.rates, theirs.recipe.rates, range(1, len(ours.recipe.rates) + 1)
            )
        else:
            descriptions = f"{first.side}'s optimizer has {setting.told(ours)}, {second.side}'s {setting.told(theirs)}"
        group = "" if len(names) == len(own) else f", for {', '.join(names)}"
        yield Cause(setting.name, WHERE, descriptions + group, FIXES[setting.name], before, after)


def _steps(settings: Settings) -> Array:
    """The learning rates of the steps that were taken, (parameters, steps)."""
    return np.array([one.recipe.rates for one in settings.values()])


def _rates(first: Stepped, second: Stepped, ours: Sequence[float], theirs: Sequence[float], at: Sequence[int]) -> str:
    """Say how two series of learning rates differ, at the steps `at`: a step late, a factor, or the largest gap."""
    one, other = np.array(ours), np.array(theirs)
    # Far steps are asked for in twos, so that a schedule that is a step late shows there, too.
    behind = np.flatnonzero(np.diff(at) == 1)  # steps that the next one follows

    def alike(a: Array, b: Array) -> bool:
        return not judged_rates((first.side, second.side), [*a], [*b]).fails

    for late, early in ((second, first), (first, second)):
        series = (one, other) if late is second else (other, one)
        if not alike(one, other) and alike(series[1][behind + 1], series[0][behind]):
            return f"{late.side}'s rate of each step is {early.side}'s of the step before"
    step = int(np.argmax(np.abs(one - other)))
    factor = other[step] / one[step] if one[step] else np.inf
    if alike(factor * one, other):
        return f"{second.side}'s rate is {factor:.6g} times {first.side}'s"
    return f"the rate of step {at[step]} is {one[step]:.6g} in {first.side}, {other[step]:.6g} in {second.side}"
