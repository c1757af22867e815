"""Recipes with a fault in them: what an optimizer may do otherwise, and the constants it may do it with.

A training is a piece of evidence (`Steps`), and what is tried on it is a function from its recipe to the recipe with
the fault: each training has a recipe of its own, and the same fault must explain all of them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import product, repeat
from typing import Any

import numpy as np

from parity.canonical.faulty_recipe import Clipping, Constant, Decay, Epsilon, FaultyRecipe
from parity.canonical.optimizer_steps import Trace
from parity.canonical.optimizers import Recipe
from parity.diagnose.search import Candidate, Probe, constants, differing, gap
from parity.dtypes import Array

# Grids between whose neighbours a constant is looked for: an epsilon or decay, a decay rate, a factor.
TINY = tuple(10.0 ** np.arange(-20, 1))
SHARES = (0.0, 0.5, 0.8, 0.85, 0.93, 0.97, 0.995, 0.9995, 0.99995, 1.0)
# A library may keep some constants in float32 whatever it computes in: then the right rule is 1e-8 off.
SINGLE = "; and it has constants in float32"
FACTORS = tuple(2.0 ** np.arange(-20, 21))

Variant = Callable[[Recipe], FaultyRecipe]


@dataclass(frozen=True, eq=False)
class Steps:
    """What a side changed in every weight at every step of a training, to be explained by a recipe with a fault."""

    trace: Trace

    @cached_property
    def probe(self) -> Probe:
        """The changes (steps, n) beside those of the training's own recipe, in the unit of the weights."""
        return Probe(self.trace.changes, self.trace.after(FaultyRecipe(self.trace.recipe)), self.trace.scale)

    @property
    def before(self) -> float:
        """How far any change is from the recipe's."""
        return self.probe.before

    @property
    def limit(self) -> float:
        """What rounding error accounts for of that."""
        return self.probe.limit

    @cached_property
    def _telling(self) -> Array:
        """128 of the n numbers, or fewer: the 64 where the recipe is furthest off, and 64 spread evenly."""
        missed = np.abs(self.probe.found - self.probe.clean).max(0)
        places: Array = np.concatenate([np.argsort(missed)[-64:], np.linspace(0, missed.size - 1, 64).astype(int)])
        return places

    def apart(self, variant: Variant) -> float:
        """How far the changes are from those of the recipe of `variant`; of a few numbers alone, if those differ."""
        faulty, distance = variant(self.trace.recipe), np.inf
        # Some hundred recipes are tried and most are wrong at the first numbers: all n are computed for what is left.
        for places in (self._telling, slice(None)):
            with np.errstate(all="ignore"):
                distance = gap(self.probe.found[:, places], self.trace.after(faulty, places))
            if not distance <= self.limit:
                break
        return distance


def _form(name: str, description: str, fix: str, variant: Variant) -> Candidate[Variant]:
    """A candidate whose value is the same for every training."""
    return Candidate(name, description, fix, repeat(variant))


def candidates(evidence: Sequence[Steps]) -> Iterator[Candidate[Variant]]:
    """Every other form of an optimizer's step, with its constants solved for on what differs most of the evidence."""
    yield from _constants(evidence)
    yield from _placements()
    yield from _counts()
    yield from _velocities(evidence)
    yield from _decays(evidence)
    yield from _clippings(evidence)
    yield from _rates(evidence)
    yield from _gradients(evidence)
    yield from _parameters([steps.trace for steps in evidence])


def _changed(**otherwise: Any) -> Variant:
    """The recipe, done otherwise: fields of `FaultyRecipe`."""
    return lambda recipe: FaultyRecipe(recipe, **otherwise)


def _other(**constants: Any) -> Variant:
    """The recipe with other constants: fields of `Recipe`."""
    return lambda recipe: FaultyRecipe(replace(recipe, **constants))


def _solved(
    evidence: Sequence[Steps],
    variant: Callable[[Recipe, float], FaultyRecipe],
    grid: Sequence[float],
    whole: bool = False,
) -> list[float]:
    """The constants that give the change that the clean formula misses most; `whole`: by all weights, not it alone."""
    worst = differing(evidence)
    assert worst is not None
    trace, missed = worst.trace, np.abs(worst.probe.found - worst.probe.clean)
    step, place = (int(i) for i in np.unravel_index(int(np.argmax(missed)), missed.shape))
    wanted = worst.probe.found[step, place]
    if whole:  # a norm is of all numbers: none of them can be trained alone
        return constants(lambda x: float(trace.after(variant(trace.recipe, x), [place])[step, 0] - wanted), grid)
    alone = trace.alone(place)
    return constants(lambda x: float(alone.after(variant(alone.recipe, x))[step, 0] - wanted), grid)


def _with(name: str, recipe: Recipe, value: float) -> FaultyRecipe:
    """The recipe with another value of one constant, a field of `Recipe`."""
    changed: dict[str, Any] = {name: value}
    return FaultyRecipe(replace(recipe, **changed))


def _decaying(form: Decay, recipe: Recipe, decay: float) -> FaultyRecipe:
    """The recipe with another decay, in this form."""
    return FaultyRecipe(replace(recipe, decay=decay), decay=form)


def _constants(evidence: Sequence[Steps]) -> Iterator[Candidate[Variant]]:
    """The recipe with another epsilon, memory or momentum: usual values, and those solved for."""
    for name, known, grid, torch, keras in (
        ("epsilon", (0.0, 1e-7, 1e-8), TINY, "eps=", "epsilon="),
        ("memory", (0.0, 0.9, 0.99, 0.999), SHARES, "alpha= or the second of betas=", "rho= or beta_2="),
        ("momentum", (0.0, 0.9, 0.99), SHARES, "momentum= or the first of betas=", "momentum= or beta_1="),
    ):
        solutions = _solved(evidence, partial(_with, name), grid)
        fix = f"give both optimizers the same {name}: {torch} of torch, {keras} of Keras"
        for value in dict.fromkeys([*known, *solutions]):
            description = f"has {name} {value:.6g}, not {getattr(evidence[0].trace.recipe, name):g}"
            yield _form(name, description, fix, _other(**{name: value}))


def _placements() -> Iterator[Candidate[Variant]]:
    """Epsilon added elsewhere, with each framework's default too, and with constants that are held in float32."""
    fix = "use an optimizer that divides by sqrt(v / (1 - memory^t)) + epsilon, as torch's; stock Keras ones do not"
    for place, description in (
        (Epsilon.UNCORRECTED, "adds epsilon before the bias correction"),
        (Epsilon.INSIDE, "adds epsilon inside the root"),
        (Epsilon.SQUARED, "adds the square of epsilon inside the root"),
        (Epsilon.UNCORRECTED_INSIDE, "adds epsilon inside the root, before the bias correction"),
    ):
        for value, single in product((None, 1e-7, 1e-8), ((), (Constant.RATE,), (Constant.RATE, Constant.POWERS))):
            more = ("" if value is None else f", and it is {value:g}") + (SINGLE if single else "")

            def made(recipe: Recipe, place: Epsilon = place, value: Any = value, single: Any = single) -> FaultyRecipe:
                return FaultyRecipe(recipe if value is None else replace(recipe, epsilon=value), place, single=single)

            yield _form("epsilon placement", description + more, fix, made)


def _counts() -> Iterator[Candidate[Variant]]:
    """Another first step, bias corrections that are missing, and other second moments."""
    fix = "count the first step as 1, and divide the moments by 1 - beta^t"
    for ahead in (1, 2):
        description = f"counts its first step as {1 + ahead}"
        yield _form("step count", description, fix, _changed(ahead=ahead))
        yield _form("step count", f"{description}, for the rate as well", fix, _changed(ahead=ahead, late=-ahead))
    for which_moment, which in (
        ((False, False), "either moment"),
        ((False, True), "the first moment"),
        ((True, False), "the second moment"),
    ):
        yield _form(
            "step count", f"does not correct {which} for the first steps", fix, _changed(corrected=which_moment)
        )
    description = "divides by the largest second moment so far"
    yield _form("memory", description, "set amsgrad=False", _changed(largest=True))
    yield _form("memory", "takes the squared mean off the second moment", "set centered=False", _changed(centered=True))


def _velocities(evidence: Sequence[Steps]) -> Iterator[Candidate[Variant]]:
    """Other forms of momentum: Nesterov's, dampened, or as a running mean."""
    fix = "give both optimizers the same momentum, nesterov and dampening"
    swap = {"momentum": "nesterov", "nesterov": "momentum"}
    for old, new in swap.items():
        description = "has Nesterov's form" if new == "nesterov" else "has plain momentum, not Nesterov's form"
        yield _form("momentum", description, fix, _renamed(old, new))
    for value in _solved(evidence, lambda r, x: FaultyRecipe(r, dampening=x), SHARES):
        yield _form("momentum", f"has dampening {value:.6g}", fix, _changed(dampening=value))
    yield _form("momentum", "has a running mean of gradients for its velocity", fix, _changed(averaging=True))


def _renamed(old: str, new: str) -> Variant:
    """The recipe by another optimizer, where it is by this one."""
    return lambda recipe: FaultyRecipe(replace(recipe, optimizer=new) if recipe.optimizer == old else recipe)


def _decays(evidence: Sequence[Steps]) -> Iterator[Candidate[Variant]]:
    """Weight decay left out, in another form, or by another amount, which is solved for."""
    fix = (
        "decay by the same amount in the same form: weight_decay= is in the gradient of torch's SGD and Adam, "
        "beside it in AdamW and in Keras"
    )
    forms = {
        Decay.COUPLED: "adds decay to the gradient",
        Decay.DECOUPLED: "decays the weights beside the gradient, by the rate",
        Decay.UNSCALED: "decays the weights whatever the rate",
        Decay.BEFORE_CLIPPING: "adds decay to the gradient before it is clipped",
        Decay.AFTER_STEP: "decays the weights behind the step",
    }
    yield _form("decay form", "does not decay the weights", fix, _other(decay=0.0))
    for form, description in forms.items():
        yield _form("decay form", description, fix, _changed(decay=form))
    for form in (Decay.BY_OPTIMIZER, Decay.COUPLED, Decay.DECOUPLED):
        solutions = _solved(evidence, partial(_decaying, form), (0.0, *TINY))
        for value in solutions:
            description = f"decays by {value:.6g}" + (f" and {forms[form]}" if form in forms else "")

            def made(recipe: Recipe, value: float = value, form: Decay = form) -> FaultyRecipe:
                return FaultyRecipe(replace(recipe, decay=value), decay=form)

            yield _form("decay form", description, fix, made)


def _clippings(evidence: Sequence[Steps]) -> Iterator[Candidate[Variant]]:
    """Gradients not clipped, by another norm, or to another one; nothing where no trace clips."""
    if all(steps.trace.recipe.clip is None for steps in evidence):
        return
    fix = "clip by the norm of all gradients together: global_clipnorm= of Keras; clip_grad_norm_ adds 1e-6 to it"
    yield _form("clipping", "does not clip the gradients", fix, _other(clip=None))
    for slack in (1e-6, 1e-8, 1e-7, 1e-12):
        yield _form(
            "clipping", f"adds {slack:g} to the norm that clips", fix, _changed(slack=slack, clipping=Clipping.ALWAYS)
        )
        yield _form("clipping", f"adds {slack:g} to the norm that clips", fix, _changed(slack=slack))
    for clipping, description in (
        (Clipping.EACH_VARIABLE, "clips each variable by its own norm"),
        (Clipping.EACH_ELEMENT, "clips each element by its value"),
        (Clipping.ALWAYS, "scales every gradient to the norm, smaller ones too"),
        (Clipping.EACH_MICRO_BATCH, "clips each micro-batch by itself"),
    ):
        yield _form("clipping", description, fix, _changed(clipping=clipping))
    for name in evidence[0].trace.places:
        yield _form("clipping", f"counts {name} twice in the norm that clips", fix, _changed(counted=(name,)))
    for value in _solved(evidence, lambda r, x: FaultyRecipe(replace(r, clip=x)), FACTORS, whole=True):
        yield _form("clipping", f"clips to a norm of {value:.6g}", fix, _other(clip=value))


def _rates(evidence: Sequence[Steps]) -> Iterator[Candidate[Variant]]:
    """The learning rate constant, changed at another step, kept in the velocity, or times a factor.

    The factor comes last: of one number any rule is a factor, and only of several is it not.
    """
    fix = "give both sides the same rate at every step"
    yield _form("rate", "does not change the rate", fix, _other(drop=None))
    for late, description in ((1, "a step late"), (-1, "a step early")):
        yield _form("rate", f"changes the rate {description}", fix, _changed(late=late))
    inside = "keep the rate out of the velocity, as torch does; keras.optimizers.SGD has it in there"
    for single in (), (Constant.RATE,), (Constant.RATE, Constant.MOMENTUM):
        description = "has the rate in the velocity, which goes on at the old one" + (SINGLE if single else "")
        yield _form("rate", description, inside, _changed(inside=True, single=single))
    for value in _solved(evidence, lambda r, x: FaultyRecipe(r, faster=x), FACTORS):
        yield _form("rate", f"has {value:.9g} times the rate", fix, _changed(faster=value))


def _gradients(evidence: Sequence[Steps]) -> Iterator[Candidate[Variant]]:
    """Gradients summed over micro-batches, or times a factor."""
    fix = "divide the loss by the number of micro-batches: torch sums their gradients, Keras averages them"
    yield _form("accumulation", "sums the gradients of micro-batches", fix, _changed(summed=True))
    for value in (2.0, 0.5, *_solved(evidence, lambda r, x: FaultyRecipe(r, times=x), FACTORS, whole=True)):
        description = f"takes {value:.9g} times the gradient for each step"
        yield _form(
            "gradient scaled", description, "scale the loss and the gradient alike on both sides", _changed(times=value)
        )


def _parameters(traces: Sequence[Trace]) -> Iterator[Candidate[Variant]]:
    """Parameters treated otherwise: two biases trained for their sum, one not moved, one rounded after each step."""
    names, sums = traces[0].places, traces[0].sums
    fix = "train one bias and freeze the other at zero: bias_hh_l0.requires_grad_(False), and so in every such layer"
    for twins in dict.fromkeys((sums, *((name,) for name in sums))) if sums else ():
        description = f"trains two biases whose sum is {', '.join(twins)}"
        yield _form("two biases", description, fix, _changed(twins=twins))
    still = tuple(n for n, place in names.items() if all(not trace.changes[:, place].any() for trace in traces))
    if still:
        fix = "give the optimizer every parameter"
        yield _form("weights not copied", f"does not move {', '.join(still)}", fix, _changed(still=still))
    for dtype in ("float32", "bfloat16", "float16"):
        fix = f"keep the weights in their own dtype while they are trained, not in {dtype}"
        yield _form("weights rounded", f"rounds its weights to {dtype} behind each step", fix, _changed(rounded=dtype))
