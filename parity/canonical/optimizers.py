"""Recipe: how to train, as formulas that both sides follow. Imports nothing of parity.

One step, where the gradients g are the means over the step's micro-batches:

    clip          all g *= clip / max(norm, clip), norm over all parameters together
    sgd           w -= rate * g
    momentum      u = momentum * u + g;  w -= rate * u
    nesterov      u = momentum * u + g;  w -= rate * (g + momentum * u)
    rmsprop       v = memory * v + (1 - memory) * g^2;  w -= rate * g / (sqrt(v) + epsilon)
    adam, adamw   m = momentum * m + (1 - momentum) * g;  v = memory * v + (1 - memory) * g^2
                  w -= rate / (1 - momentum^t) * m / (sqrt(v / (1 - memory^t)) + epsilon)

    nadam         m and v as adam's;  c_t = momentum * (1 - 0.96^(t * momentum_decay) / 2);  p_t = c_1 * ... * c_t
                  w -= rate * (c_t+1 * m / (1 - p_t+1) + (1 - c_t) * g / (1 - p_t))
                       / (sqrt(v / (1 - memory^t)) + epsilon)

with t = 1 at the first step, and u, m, v zero before it. Decay is g += decay * w, after clipping;
of adamw it is w -= rate * decay * w, before the step. These are torch's formulas
(https://docs.pytorch.org/docs/stable/optim.html), but for the clipping, which is TensorFlow's
(https://www.tensorflow.org/api_docs/python/tf/clip_by_global_norm).
"""

from dataclasses import dataclass, field

# optimizer -> the names of its state: an array each for every parameter.
MOMENTS = {
    "sgd": (),
    "momentum": ("velocity",),
    "nesterov": ("velocity",),
    "rmsprop": ("second moment",),
    "adam": ("first moment", "second moment"),
    "adamw": ("first moment", "second moment"),
    "nadam": (),  # a user's alone, whose state nobody asks for
    "own": (),
}

# optimizer -> the rates that its trainings are drawn with. Momentum gathers ten steps in one. At ten times these
# rates some trainings run away to infinity.
RATES = {"sgd": (0.01, 0.1)} | dict.fromkeys(("momentum", "nesterov", "rmsprop", "adam", "adamw"), (0.001, 0.01))


@dataclass(frozen=True)
class Recipe:
    """An optimizer of `MOMENTS` and its constants; from step `drop` on, the rate is a tenth.

    Or `rates` has each step's. Of "own" the optimizer is the user's, whatever it does. `memory` is Adam's beta 2 and
    RMSprop's rho, `momentum` also Adam's beta 1, and `clip` the largest norm of all gradients together.
    """

    optimizer: str
    rate: float
    momentum: float = 0.9
    memory: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0
    clip: float | None = None
    drop: int | None = None
    momentum_decay: float = field(default=1.0, repr=False)
    rates: tuple[float, ...] = field(default=(), repr=False)

    def rate_at(self, step: int) -> float:
        """The learning rate of a step; the first is 1.

        Behind the last of `rates` their last one goes on.
        """
        if self.rates:
            return self.rates[min(step, len(self.rates)) - 1]
        return self.rate if self.drop is None or step < self.drop else self.rate / 10


OWN = Recipe("own", 0.0)
