"""Recipes with a fault in them: what an optimizer may do otherwise, and the constants it may do it with.

A training is a piece of evidence (`Steps`), and what is tried on it is a function from its recipe to the recipe with
the fault: each training has a recipe of its own, and the same fault must explain all of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
Form = tuple[str, str, str, Variant]  # a cause's name, what a side that has it does, what to change, and the recipe


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


def candidates(evidence: Sequence[Steps]) -> Iterator[Candidate[Variant]]:
    """Every other form of an optimizer's step, with its constants solved for on what differs most of the evidence.

    What a candidate gives is the same for every training.
    """
    rest = (_velocities, _decays, _clippings, _rates, _gradients, _parameters)
    for forms in (_constants(evidence), _placements(), _counts(), *(of(evidence) for of in rest)):
        for name, description, fix, variant in forms:
            yield Candidate(name, description, fix, repeat(variant))


def _changed(**otherwise: Any) -> Variant:
    """The recipe, done otherwise: fields of `FaultyRecipe`."""
    return lambda recipe: FaultyRecipe(recipe, **otherwise)


def _other(of: Mapping[str, Any], **otherwise: Any) -> Variant:
    """The recipe with other constants, fields of `Recipe`, and done otherwise."""
    return lambda recipe: FaultyRecipe(replace(recipe, **of), **otherwise)


def _with(name: str, value: float) -> Variant:
    """The recipe with another value of one constant."""
    return _other({name: value})


def _decaying(form: Decay, value: float) -> Variant:
    """The recipe with another decay, in this form."""
    return _other({"decay": value}, decay=form)


def _solved(
    evidence: Sequence[Steps], variant: Callable[[float], Variant], grid: Sequence[float], whole: bool = False
) -> list[float]:
    """The constants that give the change that the clean formula misses most; `whole`: by all weights, not it alone."""
    worst = differing(evidence)
    assert worst is not None
    trace, missed = worst.trace, np.abs(worst.probe.found - worst.probe.clean)
    step, place = (int(i) for i in np.unravel_index(int(np.argmax(missed)), missed.shape))
    wanted = worst.probe.found[step, place]
    if whole:  # a norm is of all numbers: none of them can be trained alone
        return constants(lambda x: float(trace.after(variant(x)(trace.recipe), [place])[step, 0] - wanted), grid)
    alone = trace.alone(place)
    return constants(lambda x: float(alone.after(variant(x)(alone.recipe))[step, 0] - wanted), grid)


def _constants(evidence: Sequence[Steps]) -> Iterator[Form]:
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
            yield name, description, fix, _with(name, value)


def _placements() -> Iterator[Form]:
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
            variant = _other({} if value is None else {"epsilon": value}, epsilon=place, single=single)
            yield "epsilon placement", description + more, fix, variant


def _counts() -> Iterator[Form]:
    """Another first step, bias corrections that are missing, and other second moments."""
    name, fix = "step count", "count the first step as 1, and divide the moments by 1 - beta^t"
    for ahead in (1, 2):
        description = f"counts its first step as {1 + ahead}"
        yield name, description, fix, _changed(ahead=ahead)
        yield name, f"{description}, for the rate as well", fix, _changed(ahead=ahead, late=-ahead)
    for which_moment, which in (
        ((False, False), "either moment"),
        ((False, True), "the first moment"),
        ((True, False), "the second moment"),
    ):
        yield name, f"does not correct {which} for the first steps", fix, _changed(corrected=which_moment)
    yield "memory", "divides by the largest second moment so far", "set amsgrad=False", _changed(largest=True)
    yield "memory", "takes the squared mean off the second moment", "set centered=False", _changed(centered=True)


def _velocities(evidence: Sequence[Steps]) -> Iterator[Form]:
    """Other forms of momentum: Nesterov's, dampened, or as a running mean."""
    name, fix = "momentum", "give both optimizers the same momentum, nesterov and dampening"
    swap = {"momentum": "nesterov", "nesterov": "momentum"}
    for old, new in swap.items():
        description = "has Nesterov's form" if new == "nesterov" else "has plain momentum, not Nesterov's form"
        yield name, description, fix, _renamed(old, new)
    for value in _solved(evidence, lambda x: _changed(dampening=x), SHARES):
        yield name, f"has dampening {value:.6g}", fix, _changed(dampening=value)
    yield name, "has a running mean of gradients for its velocity", fix, _changed(averaging=True)


def _renamed(old: str, new: str) -> Variant:
    """The recipe by another optimizer, where it is by this one."""
    return lambda recipe: FaultyRecipe(replace(recipe, optimizer=new) if recipe.optimizer == old else recipe)


def _decays(evidence: Sequence[Steps]) -> Iterator[Form]:
    """Weight decay left out, in another form, or by another amount, which is solved for."""
    name, fix = (
        "decay form",
        "decay by the same amount in the same form: weight_decay= is in the gradient of torch's SGD and Adam, "
        "beside it in AdamW and in Keras",
    )
    forms = {
        Decay.COUPLED: "adds decay to the gradient",
        Decay.DECOUPLED: "decays the weights beside the gradient, by the rate",
        Decay.UNSCALED: "decays the weights whatever the rate",
        Decay.BEFORE_CLIPPING: "adds decay to the gradient before it is clipped",
        Decay.AFTER_STEP: "decays the weights behind the step",
    }
    yield name, "does not decay the weights", fix, _other({"decay": 0.0})
    for form, description in forms.items():
        yield name, description, fix, _changed(decay=form)
    for form in (Decay.BY_OPTIMIZER, Decay.COUPLED, Decay.DECOUPLED):
        for value in _solved(evidence, partial(_decaying, form), (0.0, *TINY)):
            description = f"decays by {value:.6g}" + (f" and {forms[form]}" if form in forms else "")
            yield name, description, fix, _decaying(form, value)


def _clippings(evidence: Sequence[Steps]) -> Iterator[Form]:
    """Gradients not clipped, by another norm, or to another one; nothing where no trace clips."""
    if all(steps.trace.recipe.clip is None for steps in evidence):
        return
    name = "clipping"
    fix = "clip by the norm of all gradients together: global_clipnorm= of Keras; clip_grad_norm_ adds 1e-6 to it"
    yield name, "does not clip the gradients", fix, _other({"clip": None})
    for slack in (1e-6, 1e-8, 1e-7, 1e-12):
        for form in ({"clipping": Clipping.ALWAYS}, {}):
            yield name, f"adds {slack:g} to the norm that clips", fix, _changed(slack=slack, **form)
    for clipping, description in (
        (Clipping.EACH_VARIABLE, "clips each variable by its own norm"),
        (Clipping.EACH_ELEMENT, "clips each element by its value"),
        (Clipping.ALWAYS, "scales every gradient to the norm, smaller ones too"),
        (Clipping.EACH_MICRO_BATCH, "clips each micro-batch by itself"),
    ):
        yield name, description, fix, _changed(clipping=clipping)
    for of in evidence[0].trace.places:
        yield name, f"counts {of} twice in the norm that clips", fix, _changed(counted=(of,))
    for value in _solved(evidence, lambda x: _other({"clip": x}), FACTORS, whole=True):
        yield name, f"clips to a norm of {value:.6g}", fix, _other({"clip": value})


def _rates(evidence: Sequence[Steps]) -> Iterator[Form]:
    """The learning rate constant, changed at another step, kept in the velocity, or times a factor.

    The factor comes last: of one number any rule is a factor, and only of several is it not.
    """
    name, fix = "rate", "give both sides the same rate at every step"
    yield name, "does not change the rate", fix, _other({"drop": None})
    for late, description in ((1, "a step late"), (-1, "a step early")):
        yield name, f"changes the rate {description}", fix, _changed(late=late)
    inside = "keep the rate out of the velocity, as torch does; keras.optimizers.SGD has it in there"
    for single in (), (Constant.RATE,), (Constant.RATE, Constant.MOMENTUM):
        description = "has the rate in the velocity, which goes on at the old one" + (SINGLE if single else "")
        yield name, description, inside, _changed(inside=True, single=single)
    for value in _solved(evidence, lambda x: _changed(faster=x), FACTORS):
        yield name, f"has {value:.9g} times the rate", fix, _changed(faster=value)


def _gradients(evidence: Sequence[Steps]) -> Iterator[Form]:
    """Gradients summed over micro-batches, or times a factor."""
    fix = "divide the loss by the number of micro-batches: torch sums their gradients, Keras averages them"
    yield "accumulation", "sums the gradients of micro-batches", fix, _changed(summed=True)
    fix = "scale the loss and the gradient alike on both sides"
    for value in (2.0, 0.5, *_solved(evidence, lambda x: _changed(times=x), FACTORS, whole=True)):
        yield "gradient scaled", f"takes {value:.9g} times the gradient for each step", fix, _changed(times=value)


def _parameters(evidence: Sequence[Steps]) -> Iterator[Form]:
    """Parameters treated otherwise: two biases trained for their sum, one not moved, one rounded after each step."""
    traces = [steps.trace for steps in evidence]
    names, sums = traces[0].places, traces[0].sums
    fix = "train one bias and freeze the other at zero: bias_hh_l0.requires_grad_(False), and so in every such layer"
    for twins in dict.fromkeys((sums, *((name,) for name in sums))) if sums else ():
        description = f"trains two biases whose sum is {', '.join(twins)}"
        yield "two biases", description, fix, _changed(twins=twins)
    still = tuple(n for n, place in names.items() if all(not trace.changes[:, place].any() for trace in traces))
    if still:
        fix = "give the optimizer every parameter"
        yield "weights not copied", f"does not move {', '.join(still)}", fix, _changed(still=still)
    for dtype in ("float32", "bfloat16", "float16"):
        fix = f"keep the weights in their own dtype while they are trained, not in {dtype}"
        yield "weights rounded", f"rounds its weights to {dtype} behind each step", fix, _changed(rounded=dtype)
