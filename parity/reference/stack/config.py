"""Stacks of layers: an architecture as a small value."""

from dataclasses import dataclass

# Layer kinds in a stack, plain ones first, and whether the output has the input's width.
KINDS = {
    "dense": False,
    "gelu": True,
    "layer_norm": True,
    "rms_norm": True,
    "batch_norm": True,
    "group_norm": True,
    "prelu": True,
    "rnn": False,
    "lstm": False,
    "gru": False,
    "bidirectional": False,
    "conv1d": False,
    "conv1d_transposed": False,
    "depthwise": False,
    "conv2d": False,
    "conv2d_transposed": False,
    "separable": False,
    "attention": True,
}
KERNEL = 3
COLUMNS = 2  # of an image, which a sequence is folded into: (batch, time, columns, channels)


@dataclass(frozen=True)
class Step:
    """One layer: its kind, the width it should make, whether it has a bias, and whether its input is added."""

    kind: str
    width: int
    bias: bool = True
    residual: bool = False


@dataclass(frozen=True)
class Place:
    """A step in its stack: the name of its layer, and the width that it is given and the one that it makes."""

    name: str
    step: Step
    given: int
    made: int


@dataclass(frozen=True)
class Stack:
    """An embedding, steps and a head, from ids (batch, time) to logits (batch, time, vocab).

    A step makes another width than it is asked for where its kind keeps that of its input, or can only
    make multiples; or where another step has that one, so that no transposition can hide.
    """

    width: int
    steps: tuple[Step, ...]

    def places(self) -> list[Place]:
        """The steps in order."""
        places: list[Place] = []
        taken, width_in = {self.width}, self.width
        for number, step in enumerate(self.steps):
            width_out = width_in if KINDS[step.kind] else _multiple(step, width_in)
            while width_out in taken and not KINDS[step.kind]:
                width_out += _unit(step.kind, width_in)
            places.append(Place(f"{step.kind}{number}", step, width_in, width_out))
            taken.add(width_out)
            width_in = width_out
        return places


def _unit(kind: str, width_in: int) -> int:
    """The number that the width of a kind's output has to be a multiple of."""
    if kind == "bidirectional":
        return 2
    if kind == "depthwise":
        return width_in
    return columns(width_in) if kind in ("conv2d", "conv2d_transposed", "separable") else 1


def _multiple(step: Step, width_in: int) -> int:
    """The width that a step makes: the largest multiple up to what it asks for; a depthwise convolution doubles."""
    unit = _unit(step.kind, width_in)
    return unit * (2 if step.kind == "depthwise" else max(1, step.width // unit))


def columns(width: int) -> int:
    """How many columns an image of a width has."""
    return 1 if width % COLUMNS else COLUMNS


def parts(width: int) -> int:
    """How many groups or heads a layer of a width has."""
    return next(count for count in (3, 2, 1) if width % count == 0)
