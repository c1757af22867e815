"""Recipes with a fault in them: what an optimizer may do otherwise, and the constants it may do it with."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from parity.canonical.faulty_recipe import Clipping, Constant, Decay, Epsilon, FaultyRecipe
from parity.canonical.optimizer_steps import Trace
from parity.canonical.optimizers import Recipe
from parity.diagnose.search import Probe, constants, differing

# Grids between whose neighbours a constant is looked for: an epsilon or decay, a decay rate, a factor.
TINY = tuple(10.0 ** np.arange(-20, 1))
SHARES = (0.0, 0.5, 0.8, 0.85, 0.93, 0.97, 0.995, 0.9995, 0.99995, 1.0)
SINGLE = "; and it has constants in float32"
FACTORS = tuple(2.0 ** np.arange(-20, 21))

Made = Callable[[Recipe], FaultyRecipe]


@dataclass(frozen=True, eq=False)
class Form:
    """A cause by its name, what a side that has it does, what to change; and the recipe with the fault."""

    name: str
    told: str
    fix: str
    made: Made


def forms(traces: Sequence[Trace], probes: Sequence[Probe]) -> Iterator[Form]:
    """Every other form of an optimizer's step, with its constants solved for on the traces and tried on the probes."""
    yield from _constants(traces, probes)
    yield from _placements()
    yield from _counts()
    yield from _velocities(traces, probes)
    yield from _decays(traces, probes)
    yield from _clippings(traces, probes)
    yield from _rates(traces, probes)
    yield from _gradients(traces, probes)
    yield from _parameters(traces)


def _changed(**otherwise: Any) -> Made:
    """The recipe, done otherwise: fields of `FaultyRecipe`."""
    return lambda recipe: FaultyRecipe(recipe, **otherwise)


def _other(**constants: Any) -> Made:
    """The recipe with other constants: fields of `Recipe`."""
    return lambda recipe: FaultyRecipe(replace(recipe, **constants))


def _solved(
    traces: Sequence[Trace],
    probes: Sequence[Probe],
    variant: Callable[[Recipe, float], FaultyRecipe],
    grid: Sequence[float],
    whole: bool = False,
) -> list[float]:
    """The constants that give the change that the clean formula misses most; `whole`: by all weights, not it alone."""
    worst = differing(probes)
    assert worst is not None
    trace, missed = traces[probes.index(worst)], np.abs(worst.found - worst.clean)
    step, place = (int(i) for i in np.unravel_index(int(np.argmax(missed)), missed.shape))
    wanted = worst.found[step, place]
    if whole:
        return constants(lambda x: float(trace.after(variant(trace.recipe, x), [place])[step, 0] - wanted), grid)
    alone = trace.alone(place)
    return constants(lambda x: float(alone.after(variant(alone.recipe, x))[step, 0] - wanted), grid)


def _with(name: str, recipe: Recipe, value: float) -> FaultyRecipe:
    """The recipe with another value of one constant."""
    changed: dict[str, Any] = {name: value}
    return FaultyRecipe(replace(recipe, **changed))


def _decaying(form: Decay, recipe: Recipe, decay: float) -> FaultyRecipe:
    return FaultyRecipe(replace(recipe, decay=decay), decay=form)


def _constants(traces: Sequence[Trace], probes: Sequence[Probe]) -> Iterator[Form]:
    """The recipe with another epsilon, memory or momentum: usual values, and those solved for."""
    for name, known, grid, torch, keras in (
        ("epsilon", (0.0, 1e-7, 1e-8), TINY, "eps=", "epsilon="),
        ("memory", (0.0, 0.9, 0.99, 0.999), SHARES, "alpha= or the second of betas=", "rho= or beta_2="),
        ("momentum", (0.0, 0.9, 0.99), SHARES, "momentum= or the first of betas=", "momentum= or beta_1="),
    ):
        solutions = _solved(traces, probes, partial(_with, name), grid)
        fix = f"give both optimizers the same {name}: {torch} of torch, {keras} of Keras"
        for value in dict.fromkeys([*known, *solutions]):
            description = f"has {name} {value:.6g}, not {getattr(traces[0].recipe, name):g}"
            yield Form(name, description, fix, _other(**{name: value}))


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

            def made(recipe: Recipe, place: Epsilon = place, value: Any = value, single: Any = single) -> FaultyRecipe:
                return FaultyRecipe(recipe if value is None else replace(recipe, epsilon=value), place, single=single)

            yield Form("epsilon placement", description + more, fix, made)


def _counts() -> Iterator[Form]:
    """Another first step, bias corrections that are missing, and other second moments."""
    fix = "count the first step as 1, and divide the moments by 1 - beta^t"
    for ahead in (1, 2):
        description = f"counts its first step as {1 + ahead}"
        yield Form("step count", description, fix, _changed(ahead=ahead))
        yield Form("step count", f"{description}, for the rate as well", fix, _changed(ahead=ahead, late=-ahead))
    for which_moment, which in (
        ((False, False), "either moment"),
        ((False, True), "the first moment"),
        ((True, False), "the second moment"),
    ):
        yield Form("step count", f"does not correct {which} for the first steps", fix, _changed(corrected=which_moment))
    description = "divides by the largest second moment so far"
    yield Form("memory", description, "set amsgrad=False", _changed(largest=True))
    yield Form("memory", "takes the squared mean off the second moment", "set centered=False", _changed(centered=True))


def _velocities(traces: Sequence[Trace], probes: Sequence[Probe]) -> Iterator[Form]:
    """Other forms of momentum: Nesterov's, dampened, or as a running mean."""
    fix = "give both optimizers the same momentum, nesterov and dampening"
    swap = {"momentum": "nesterov", "nesterov": "momentum"}
    for old, new in swap.items():
        description = "has Nesterov's form" if new == "nesterov" else "has plain momentum, not Nesterov's form"
        yield Form("momentum", description, fix, _renamed(old, new))
    for value in _solved(traces, probes, lambda r, x: FaultyRecipe(r, dampening=x), SHARES):
        yield Form("momentum", f"has dampening {value:.6g}", fix, _changed(dampening=value))
    yield Form("momentum", "has a running mean of gradients for its velocity", fix, _changed(averaging=True))


def _renamed(old: str, new: str) -> Made:
    return lambda recipe: FaultyRecipe(replace(recipe, optimizer=new) if recipe.optimizer == old else recipe)


def _decays(traces: Sequence[Trace], probes: Sequence[Probe]) -> Iterator[Form]:
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
    yield Form("decay form", "does not decay the weights", fix, _other(decay=0.0))
    for form, description in forms.items():
        yield Form("decay form", description, fix, _changed(decay=form))
    for form in (Decay.BY_OPTIMIZER, Decay.COUPLED, Decay.DECOUPLED):
        solutions = _solved(traces, probes, partial(_decaying, form), (0.0, *TINY))
        for value in solutions:
            description = f"decays by {value:.6g}" + (f" and {forms[form]}" if form in forms else "")

            def made(recipe: Recipe, value: float = value, form: Decay = form) -> FaultyRecipe:
                return FaultyRecipe(replace(recipe, decay=value), decay=form)

            yield Form("decay form", description, fix, made)


def _clippings(traces: Sequence[Trace], probes: Sequence[Probe]) -> Iterator[Form]:
    """Gradients not clipped, by another norm, or to another one; nothing where no trace clips."""
    if all(trace.recipe.clip is None for trace in traces):
        return
    fix = "clip by the norm of all gradients together: global_clipnorm= of Keras; clip_grad_norm_ adds 1e-6 to it"
    yield Form("clipping", "does not clip the gradients", fix, _other(clip=None))
    for slack in (1e-6, 1e-8, 1e-7, 1e-12):
        yield Form(
            "clipping", f"adds {slack:g} to the norm that clips", fix, _changed(slack=slack, clipping=Clipping.ALWAYS)
        )
        yield Form("clipping", f"adds {slack:g} to the norm that clips", fix, _changed(slack=slack))
    for clipping, description in (
        (Clipping.EACH_VARIABLE, "clips each variable by its own norm"),
        (Clipping.EACH_ELEMENT, "clips each element by its value"),
        (Clipping.ALWAYS, "scales every gradient to the norm, smaller ones too"),
        (Clipping.EACH_MICRO_BATCH, "clips each micro-batch by itself"),
    ):
        yield Form("clipping", description, fix, _changed(clipping=clipping))
    for name in traces[0].places:
        yield Form("clipping", f"counts {name} twice in the norm that clips", fix, _changed(counted=(name,)))
    for value in _solved(traces, probes, lambda r, x: FaultyRecipe(replace(r, clip=x)), FACTORS, whole=True):
        yield Form("clipping", f"clips to a norm of {value:.6g}", fix, _other(clip=value))


def _rates(traces: Sequence[Trace], probes: Sequence[Probe]) -> Iterator[Form]:
    """The learning rate constant, changed at another step, kept in the velocity, or times a factor."""
    fix = "give both sides the same rate at every step"
    yield Form("rate", "does not change the rate", fix, _other(drop=None))
    for late, description in ((1, "a step late"), (-1, "a step early")):
        yield Form("rate", f"changes the rate {description}", fix, _changed(late=late))
    inside = "keep the rate out of the velocity, as torch does; keras.optimizers.SGD has it in there"
    for single in (), (Constant.RATE,), (Constant.RATE, Constant.MOMENTUM):
        description = "has the rate in the velocity, which goes on at the old one" + (SINGLE if single else "")
        yield Form("rate", description, inside, _changed(inside=True, single=single))
    for value in _solved(traces, probes, lambda r, x: FaultyRecipe(r, faster=x), FACTORS):
        yield Form("rate", f"has {value:.9g} times the rate", fix, _changed(faster=value))


def _gradients(traces: Sequence[Trace], probes: Sequence[Probe]) -> Iterator[Form]:
    """Gradients summed over micro-batches, or times a factor."""
    fix = "divide the loss by the number of micro-batches: torch sums their gradients, Keras averages them"
    yield Form("accumulation", "sums the gradients of micro-batches", fix, _changed(summed=True))
    for value in (2.0, 0.5, *_solved(traces, probes, lambda r, x: FaultyRecipe(r, times=x), FACTORS, whole=True)):
        description = f"takes {value:.9g} times the gradient for each step"
        yield Form(
            "gradient scaled", description, "scale the loss and the gradient alike on both sides", _changed(times=value)
        )


def _parameters(traces: Sequence[Trace]) -> Iterator[Form]:
    """Parameters treated otherwise: two biases trained for their sum, one not moved, one rounded after each step."""
    names, sums = traces[0].places, traces[0].sums
    fix = "train one bias and freeze the other at zero: bias_hh_l0.requires_grad_(False), and so in every such layer"
    for twins in dict.fromkeys((sums, *((name,) for name in sums))) if sums else ():
        description = f"trains two biases whose sum is {', '.join(twins)}"
        yield Form("two biases", description, fix, _changed(twins=twins))
    still = tuple(n for n, place in names.items() if all(not trace.changes[:, place].any() for trace in traces))
    if still:
        fix = "give the optimizer every parameter"
        yield Form("weights not copied", f"does not move {', '.join(still)}", fix, _changed(still=still))
    for dtype in ("float32", "bfloat16", "float16"):
        fix = f"keep the weights in their own dtype while they are trained, not in {dtype}"
        yield Form("weights rounded", f"rounds its weights to {dtype} behind each step", fix, _changed(rounded=dtype))
