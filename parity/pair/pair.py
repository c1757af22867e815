"""Pair: two builds of one model, one tokenizer or kind of inputs, one set of weights."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from pathlib import Path
from typing import Any

import numpy as np
import optree

from parity.backends import BACKENDS, SIDES
from parity.backends.build import IDS, Build
from parity.backends.protocol import Trainable, words
from parity.canonical.custom import Custom, of_side
from parity.dtypes import Inputs
from parity.errors import ParityError, users_own
from parity.inputs.arrays import accept
from parity.inputs.batches import strategy
from parity.inputs.edges import Ids, Place
from parity.inputs.sampling import specimens
from parity.inputs.tokenizer import Tokenizer
from parity.pair.roles import Role, roles

SPECIMENS = 4
WEIGHTS = ("drawn", "given")
Builder = Callable[[], Any] | Mapping[str, Callable[[], Any]]


@dataclass(frozen=True)
class Pair:
    """Two models that are meant to be the same.

    `torch` and `tensorflow` build an untrained model each: `() -> torch.nn.Module` and
    `() -> keras.Model`, a legacy tf_keras model, a tf.Module, a loaded SavedModel or a callable whose
    `variables` are its variables. A language model takes ids (batch, time) int64 to logits (batch, time, vocab),
    and has a `tokenizer`. Any other has `inputs` instead, a Hypothesis strategy of what it takes: a
    NumPy array (batch, ...), or a tuple or dict of them, which become positional and keyword arguments;
    floating-point inputs are float32. Or it has batches of your own: such arrays or tensors, or what yields them, a
    DataLoader or a tf.data.Dataset, the first of which are cut and permuted. The checks that need texts are skipped.

    A Keras model that runs on JAX is the side `jax`, in the place of `tensorflow`.

    Two models of one framework are a pair, too: `torch={"old": build_old, "new": build_new}`, or the same of
    `tensorflow`. Its sides are called so, and what is keyed by sides, below, goes by these names. A side of another
    backend that is registered stands under that backend's name, or in `others`: a deployed file, say, by its path.
    Where a side can only run, both keep the weights that they have, and checks that need more are skipped.

    Twin layers are found by name, kind, shape and order of calls; `links`, {"torch.path":
    "tensorflow.path"}, settles what that leaves open. A weight that several layers share is the first
    one's. A check builds each side in float32 and float64, so a builder should not fix a dtype; it must
    be importable (not a lambda), because a reload is proved in a fresh process. So must these, each given
    as {"torch": ..., "tensorflow": ...}:

    `call(model, inputs, training) -> output` runs a model that cannot be called on its inputs as they
    are, or whose output is more than what is to be compared; `inputs` are tensors. An output is any
    nesting of tensors (batch, ...).
    `loss(output, inputs) -> scalar` is a loss for gradients and training, with `inputs`, which may hold
    targets that `call` leaves out. Without it the loss is the mean squared difference to numbers drawn once.

    `optimizer` makes what you train with, and is tried beside parity's own: `(parameters) -> torch.optim.Optimizer`,
    or a tuple of it, schedules and functions of the parameters that clip their gradients, as
    `partial(clip_grad_norm_, max_norm=1.0)`; and `() -> keras.Optimizer`, or a tuple of it and functions of a list of
    gradients.

    `length` is how many ids the models take at most, if there is an end to it. `left_padding` claims
    that padding on the left changes nothing either. `custom` tells of layer classes of your own, of
    either framework: `{Scale: parts_of_scale}`, a function of the layer that returns its parameters by
    name, each a variable or `(variable, parity.TRANSPOSED)`. Twins have the same names and shapes. In a
    class's place it may have a side, whose model is then told whole, by names "layer.parameter".
    `promote=False` leaves a part that a model computes in float32 on purpose, a norm say, in float32 where
    the model runs in float64; a side with such a part has no float64 corner then, and the verdict is the weaker one.

    `weights="given"` judges the models with the weights that their builders gave them, in the place of "drawn" ones
    that both sides get: nothing is written to either. No layer needs a twin then, and so `links` and `custom` are not
    read; the checks of what only drawn weights or twin parameters can show are skipped.
    """

    name: str
    torch: Builder | None = None
    tensorflow: Builder | None = None
    tokenizer: Tokenizer | str | Path | None = None
    length: int | None = None
    left_padding: bool = False
    inputs: Inputs = None
    links: Mapping[str, str] | None = None
    custom: Custom = field(default_factory=dict, hash=False)
    call: Mapping[str, Callable[[Any, Any, bool], Any]] | None = None
    loss: Mapping[str, Callable[[Any, Any], Any]] | None = None
    optimizer: Mapping[str, Callable[..., Any]] | None = None
    promote: bool = True
    weights: str = "drawn"
    others: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.weights not in WEIGHTS:
            raise ParityError(f"{self.name}: weights is {self.weights!r}; give {' or '.join(map(repr, WEIGHTS))}")
        if (self.tokenizer is None) == (self.inputs is None):
            raise ParityError(f"{self.name}: give either a tokenizer or inputs, batches or a Hypothesis strategy")
        if self.lacking((Trainable,)):  # nothing can be written to both: they are judged with what they have
            # The dataclass is frozen, and this is its constructor.
            object.__setattr__(self, "weights", "given")
        for side, role in self.roles.items():
            built = role.source
            if (
                Trainable in BACKENDS[role.backend].offers
                and not isinstance(built, type)
                and (not callable(built) or hasattr(built, "parameters") or hasattr(built, "variables"))
            ):
                raise ParityError(
                    f"{self.name}: {side} is a {type(built).__name__}; give the function that builds a model"
                )
        if self.inputs is not None:
            try:
                object.__setattr__(self, "inputs", strategy(self.inputs))
            except ParityError as error:
                raise ParityError(f"{self.name}: {error}") from error
        if self.loss is not None and self.inputs is None:
            raise ParityError(f"{self.name}: a loss goes with inputs; that of a pair with a tokenizer is cross entropy")
        for what in ("call", "loss", "optimizer"):
            value = getattr(self, what)
            for side in value or ():
                if side not in self.sides or not callable(value[side]):
                    functions = ", ".join(f'"{name}": function' for name in self.sides)
                    raise ParityError(f"{self.name}: give {what} as {{{functions}}}")
        for what in ("loss", "optimizer"):
            if getattr(self, what) is not None and set(getattr(self, what)) != set(self.sides):
                raise ParityError(f"{self.name}: give the {what} of both sides, or of none")

    def vocabulary(self) -> Tokenizer:
        """The tokenizer, loaded. Raises ParityError as `Tokenizer.load`."""
        if isinstance(self.tokenizer, Tokenizer):
            return self.tokenizer
        if not isinstance(self.tokenizer, str | Path):
            raise ParityError(f"the tokenizer of {self.name} is a {type(self.tokenizer).__name__}; give a .model file")
        return Tokenizer.load(self.tokenizer)

    @cached_property
    def specimens(self) -> list[Any]:
        """A few of what `inputs` draws. Raises ParityError where that is no arrays of a batch."""
        if self.inputs is None:
            return []
        with users_own(f"{self.name}: inputs cannot be drawn"):
            examples = specimens(self.inputs, SPECIMENS)
        for drawn in examples:
            accept(drawn)
        return examples

    @property
    def roles(self) -> dict[str, Role]:
        """The two sides, by name. Raises ParityError unless there are two."""
        sources = {backend: getattr(self, backend) for backend in SIDES}
        return roles(self.name, sources | dict(self.others))

    def with_files(self, files: Mapping[str, Any]) -> "Pair":
        """Make the same pair with files in the place of its sides, backend -> path: of one, or of both.

        One file is held against the side that it was made from, as a rule, if the pair has that, or else the first.
        """
        sides = [of for of, role in self.roles.items() if role.backend in {BACKENDS[name].origin for name in files}]
        roles = {of: self.roles[of] for of in [*sides, *self.sides][: 2 - len(files)]}
        sources: dict[str, Any] = {role.backend: {of: role.source} for of, role in roles.items()} | dict(files)
        fields = {of: sources.pop(of, None) for of in SIDES}
        calls = {of: call for of, call in (self.call or {}).items() if of in roles}
        return replace(self, **fields, others=sources, call=calls or None, loss=None, links=None)

    def lacking(self, needs: Collection[type]) -> str:
        """Which side cannot do what is needed, capabilities of `backends.protocol`, in words; empty if both can."""
        for side, role in self.roles.items():
            for need in needs:
                if need not in BACKENDS[role.backend].offers:
                    return f"{side} is not {words(need)}"
        return ""

    @property
    def sides(self) -> tuple[str, str]:
        """The names of its two sides."""
        one, other = self.roles
        return one, other

    @property
    def own_weights(self) -> bool:
        """Whether the models keep the weights that their builders gave them."""
        return self.weights == "given"

    @property
    def ids(self) -> Mapping[Place, Ids]:
        """The integers among the inputs, by place: of strategies of parity's own, which say what they draw."""
        return getattr(self.inputs, "ids", {})

    @property
    def padded(self) -> bool:
        """Whether there are texts with padding among the inputs."""
        return any(ids.pad is not None for ids in self.ids.values())

    @property
    def plainest(self) -> Inputs:
        """The specimen whose numbers are nearest to 1 in size: large and small ones hide what models make of them."""

        def oddity(inputs: Inputs) -> tuple[float, int]:
            arrays = optree.tree_leaves(inputs)
            sizes = [float(np.abs(array).max(initial=0)) for array in arrays if array.dtype.kind == "f"]
            return max((abs(math.log(size or math.inf)) for size in sizes), default=0.0), -len(arrays[0])

        return min(self.specimens, key=oddity)

    @property
    def builds(self) -> Mapping[str, Build]:
        """Side -> how its model is made and asked."""
        sample = self.specimens[-1] if self.inputs is not None else IDS
        calls, losses, optimizers = self.call or {}, self.loss or {}, self.optimizer or {}
        how: dict[str, Any] = {"promote": self.promote, "own": self.own_weights}
        return {
            side: Build(
                role.source,
                calls.get(side),
                losses.get(side),
                optimizers.get(side),
                sample,
                of_side(self.custom, side),
                side=side,
                backend=role.backend,
                **how,
            )
            for side, role in self.roles.items()
        }


def _by_name(plain: Callable[..., None]) -> Callable[..., None]:
    """A constructor that takes a side of any backend under the backend's name: a registry is no list of fields."""

    @wraps(plain)
    def init(self: Pair, *positional: Any, **named: Any) -> None:
        fields = Pair.__dataclass_fields__
        others = {name: named.pop(name) for name in [*named] if name in BACKENDS and name not in fields}
        plain(self, *positional, **named | ({"others": {**named.get("others", {}), **others}} if others else {}))

    return init


Pair.__init__ = _by_name(Pair.__init__)  # type: ignore[method-assign]  # see `_by_name`
