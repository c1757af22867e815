"""A recipe with a fault in it: what an optimizer may do otherwise than `parity.canonical.optimizers` defines.

Each field is one way in which libraries, ports and people depart from the formula: where epsilon stands, how weights
decay, what is clipped. The values that the recipe itself has are the defaults. `diagnose` proposes one departure at a
time and replays the training by it (`optimizer_steps`); what explains every number is the cause.
"""

from dataclasses import dataclass
from enum import Enum, auto

from parity.canonical.optimizers import Recipe


class Epsilon(Enum):
    """Where epsilon is added to the denominator, the root of the second moment (`optimizer_steps._root`)."""

    OUTSIDE = auto()  # to the root, as the recipe has it
    INSIDE = auto()  # under the root
    SQUARED = auto()  # its square under the root
    UNCORRECTED = auto()  # to the root, before the bias correction
    UNCORRECTED_INSIDE = auto()  # under the root, before the bias correction


class Decay(Enum):
    """How the weights decay: as a term of the gradient, as in Adam with L2, or beside the step, as in AdamW."""

    BY_OPTIMIZER = auto()  # DECOUPLED in AdamW, else COUPLED, as the recipe has it
    COUPLED = auto()  # g += decay * w
    DECOUPLED = auto()  # w -= rate * decay * w
    UNSCALED = auto()  # w -= decay * w, whatever the rate
    BEFORE_CLIPPING = auto()  # g += decay * w, before g is clipped
    AFTER_STEP = auto()  # w -= rate * decay * w, of the weights that the step has made


class Clipping(Enum):
    """What is clipped, where the recipe clips."""

    GLOBAL_NORM = auto()  # all gradients together, as the recipe has it
    EACH_VARIABLE = auto()  # by its own norm, as Keras's clipnorm
    EACH_ELEMENT = auto()  # to between -clip and clip, as Keras's clipvalue
    EACH_MICRO_BATCH = auto()  # all gradients together, but before they are averaged
    ALWAYS = auto()  # scaled to the norm, smaller ones too


class Constant(Enum):
    """A constant of the recipe that an optimizer may keep in float32, while all else is in float64."""

    RATE = auto()
    MOMENTUM = auto()
    POWERS = auto()  # momentum and memory, in an Adam's bias correction


@dataclass(frozen=True)
class FaultyRecipe:
    """A recipe, and what a faulty optimizer does otherwise. The defaults are the recipe's own formulas."""

    recipe: Recipe
    epsilon: Epsilon = Epsilon.OUTSIDE
    ahead: int = 0  # steps that the counter is ahead
    corrected: tuple[bool, bool] = (True, True)  # whether Adam corrects its first and its second moment
    centered: bool = False  # the second moment loses the squared mean
    largest: bool = False  # the second moment divides by its largest value so far
    dampening: float = 0.0  # from the second step on
    averaging: bool = False  # the velocity is a running mean
    decay: Decay = Decay.BY_OPTIMIZER
    faster: float = 1.0  # the rate is this many times the recipe's
    late: int = 0  # steps that the rate's schedule is behind
    inside: bool = False  # the rate is in the velocity
    clipping: Clipping = Clipping.GLOBAL_NORM
    slack: float = 0.0  # added to the norm that clips
    counted: tuple[str, ...] = ()  # parameters that the norm counts twice
    times: float = 1.0  # the gradient is this many times its own
    summed: bool = False  # the gradients of micro-batches are summed, not averaged
    single: tuple[Constant, ...] = ()  # constants in float32
    rounded: str = ""  # the dtype that weights go through behind each step
    still: tuple[str, ...] = ()  # parameters that do not move
    twins: tuple[str, ...] = ()  # parameters that are a sum of two, each trained
