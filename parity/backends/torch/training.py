"""Training in torch, whose own optimizers are the definition.

Line for line beside `parity/backends/keras/training.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from parity.backends import optimizer_state
from parity.canonical.optimizers import MOMENTS, Recipe
from parity.dtypes import Array, transport_dtype

# What torch calls the state of `MOMENTS`.
KEYS = {
    "momentum": ("momentum_buffer",),
    "nesterov": ("momentum_buffer",),
    "rmsprop": ("square_avg",),
    "adam": ("exp_avg", "exp_avg_sq"),
    "adamw": ("exp_avg", "exp_avg_sq"),
}


class Trainer:
    """Trains a model's `variables`, name -> variable, by a recipe, as `protocol.Trainer`.

    `descend(ids, targets)` gives the loss and every variable's gradient; `named` takes one tensor for each variable,
    in their order, to arrays by canonical parameter.
    """

    def __init__(
        self,
        recipe: Recipe,
        variables: Mapping[str, Any],
        descend: Callable[[Array, Array], tuple[Any, Sequence[Any]]],
        named: Callable[[Sequence[Any]], dict[str, Array]],
    ) -> None:
        self.recipe, self.loss_and_gradients, self.named = recipe, descend, named
        self.names, self.variables = list(variables), list(variables.values())
        self.steps = 0
        self.optimizer = _optimizer(recipe, self.variables)

    def step(self, batches: Sequence[tuple[Array, Array]]) -> Array:
        losses, total = [], list[Any]()
        for ids, targets in batches:
            loss, gradients = self.loss_and_gradients(ids, targets)
            losses.append(loss)
            total = _added(total, list(gradients))
            del gradients  # of all that is as large as the model no more is held than is needed
        self.apply([_mean(total.pop(0), len(losses)) for _ in range(len(total))])
        mean: Array = (sum(losses) / len(losses)).numpy()
        self._go_on(mean)
        return mean

    def apply(self, gradients: list[Any]) -> None:
        """Take one step by these gradients, one for each variable: clip, then torch's own optimizer."""
        self.steps += 1
        if self.recipe.clip is not None:
            gradients = clipped(gradients, self.recipe.clip)
        for variable, gradient in zip(self.variables, gradients, strict=True):
            variable.grad = gradient
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate_at(self.steps)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def state(self) -> dict[str, dict[str, Array]]:
        return {moment: self.named(tensors) for moment, tensors in self._moments().items()}

    def save(self, path: Path) -> None:
        moments = {moment: [_array(tensor) for tensor in tensors] for moment, tensors in self._moments().items()}
        optimizer_state.save(path, self.steps, self.names, moments)

    def restore(self, path: Path) -> None:
        expected = {name: (tuple(v.shape), _carrier(v)) for name, v in zip(self.names, self.variables, strict=True)}
        moments = MOMENTS[self.recipe.optimizer]
        self.steps, arrays = optimizer_state.load(path, moments, expected)
        for place, variable in enumerate(self.variables):
            state = {key: torch.tensor(arrays[m][place], dtype=variable.dtype) for m, key in self._keys().items()}
            # torch's SGD has no count and leaves this one alone.
            self.optimizer.state[variable] = {"step": torch.tensor(float(self.steps)), **state}

    def _go_on(self, loss: Array) -> None:
        """What follows a step whose loss () was this: of a recipe nothing, since it has each step's rate."""

    def _moments(self) -> dict[str, list[Any]]:
        states = [self.optimizer.state[variable] for variable in self.variables]
        return {moment: [of[key] for of in states] for moment, key in self._keys().items()}

    def _keys(self) -> dict[str, str]:
        return dict(zip(MOMENTS[self.recipe.optimizer], KEYS.get(self.recipe.optimizer, ()), strict=True))


def _added(total: list[Any], gradients: list[Any]) -> list[Any]:
    """Sums of both, place by place; each replaces what it was made from, so that few exist at once."""
    for place in range(len(total)):
        gradients[place] = total[place] + gradients[place]  # not in place: it may be another's, too
        total[place] = None
    return gradients


def _mean(total: torch.Tensor, count: int) -> torch.Tensor:
    """The mean over micro-batches; a single one is left alone, bit for bit."""
    return total / count if count > 1 else total


def clipped(gradients: list[Any], clip: float) -> list[Any]:
    """As tf.clip_by_global_norm, each gradient times clip / max(norm of all, clip); the list is emptied.

    torch's own, `clip_grad_norm_`, adds 1e-6 to the norm.
    """
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
    scale = clip / norm.clamp(min=clip)
    return [gradients.pop(0) * scale for _ in range(len(gradients))]


def _array(tensor: torch.Tensor) -> Array:
    result: Array = tensor.to(getattr(torch, _carrier(tensor))).numpy()
    return result


def _carrier(tensor: torch.Tensor) -> str:
    return transport_dtype(str(tensor.dtype).removeprefix("torch."))


def _optimizer(recipe: Recipe, variables: Sequence[Any]) -> torch.optim.Optimizer:
    """torch's own optimizer of a recipe."""
    options: dict[str, Any] = {"lr": recipe.rate, "weight_decay": recipe.decay}
    betas = recipe.momentum, recipe.memory
    match recipe.optimizer:
        case "sgd":
            return torch.optim.SGD(variables, **options)
        case "momentum":
            return torch.optim.SGD(variables, momentum=recipe.momentum, **options)
        case "nesterov":
            return torch.optim.SGD(variables, momentum=recipe.momentum, nesterov=True, **options)
        case "rmsprop":
            return torch.optim.RMSprop(variables, alpha=recipe.memory, eps=recipe.epsilon, **options)
        case "adam":
            return torch.optim.Adam(variables, betas=betas, eps=recipe.epsilon, **options)
        case _:
            return torch.optim.AdamW(variables, betas=betas, eps=recipe.epsilon, **options)


def divergences() -> dict[str, tuple[Array, Array]]:
    """Measure where torch's own functions part from their definition: name -> (as defined, as found), float64."""
    gradient = torch.tensor([3.0, 4.0], dtype=torch.float64)
    weight = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    weight.grad = gradient.clone()
    torch.nn.utils.clip_grad_norm_([weight], 1.0)
    with torch.random.fork_rng(devices=[]):  # whoever draws next gets what they would have got
        rnn = torch.nn.LSTM(1, 1, dtype=torch.float64)
    for parameter in rnn.parameters():
        # Two biases that act as their sum get a gradient each: by SGD the sum moves twice as far.
        torch.nn.init.constant_(parameter, 0.5)
    first, second = rnn.bias_ih_l0, rnn.bias_hh_l0
    before = (first + second).detach()
    rnn(torch.ones(3, 1, dtype=torch.float64))[0].sum().backward()
    torch.optim.SGD(rnn.parameters(), lr=1.0).step()
    return {
        "clipping": (clipped([gradient], 1.0)[0].numpy(), weight.grad.numpy()),
        "two biases": ((before - first.grad).numpy(), (first + second).detach().numpy()),
        "fused attention": (_attended(SDPBackend.MATH), _attended(SDPBackend.FLASH_ATTENTION)),
    }


def _attended(kernel: SDPBackend) -> Array:
    """The gradient of an attention's values by a kernel, where one query sees two equal keys at scores of 1e9."""
    query, key = torch.full((1, 1, 1, 1), 1e9, dtype=torch.float64), torch.ones(1, 1, 2, 1, dtype=torch.float64)
    value = torch.ones_like(key, requires_grad=True)
    with sdpa_kernel(kernel):
        seen = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    array: Array = torch.autograd.grad(seen.sum(), value)[0].numpy()
    return array
