"""How one side's model is made and asked."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parity.canonical.custom import Custom
from parity.canonical.form import Form
from parity.errors import ParityError, reason

IDS = np.zeros((1, 1), np.int64)


@dataclass(frozen=True)
class Build:
    """How one side's model is made and asked.

    It holds no model and can be pickled where the user's functions can, so that a fresh process builds the same one.

    `make` is the user's builder. `call(model, inputs, training)` gives the model's output where calling it
    will not do; `loss(output, inputs)` is the loss, a scalar, and `optimizer` makes the user's own optimizer.
    `sample` is an input of it, and `custom`
    tells of layer classes of its own. `form` is how its layers are read beside the other side, and `nodes` the paths
    that its modules go by, in their order: their own, which may be others in another process, if none are given.
    With `promote` it computes in float64 what it asks float32 for, where it is built in float64. With `own` it is taken
    with the weights that it has: each variable is a parameter, whatever layer holds it. In the places `unread` it gives
    something that is not looked at. A weight that one of the modules `apart`, by their own paths, computes from others
    is none: those others are. The weights of modules `normed`, by their own paths,
    are held as g and v, as a weight norm does. `side` is what the pair calls it, `backend` the name of what runs it.
    """

    make: Callable[[], Any]
    call: Callable[[Any, Any, bool], Any] | None = None
    loss: Callable[[Any, Any], Any] | None = None
    optimizer: Callable[..., Any] | None = None
    sample: Any = field(default_factory=lambda: IDS)
    custom: Custom = field(default_factory=dict)
    form: Form = field(default_factory=Form)
    nodes: tuple[str, ...] = ()
    promote: bool = True
    own: bool = False
    unread: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    normed: tuple[str, ...] = ()
    side: str = ""
    backend: str = ""

    @classmethod
    def of(cls, build: Callable[[], Any]) -> "Build":
        """Return a build as it is; make one of a builder alone, of a model that takes ids (batch, time)."""
        return build if isinstance(build, cls) else cls(build)

    def __call__(self) -> Any:
        """Build the model anew, as the user's function makes it."""
        return self.make()


def built(side: str, build: Callable[[], Any]) -> Any:
    """Call a user's builder. Raises ParityError, with what went wrong in it as its cause."""
    try:
        return build()
    except KeyboardInterrupt:
        raise
    # A builder that exits with 0 would else be a run that found nothing.
    except BaseException as error:  # sys.exit() among them: it must not end the check as if it had passed
        raise ParityError(f"the {side} builder failed: {reason(error)}") from error
