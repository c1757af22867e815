"""Recurrences of torch written out step by step, to be altered inside or to stand for the fused ones.

torch's layers run all tokens in one call, of which nothing can be altered but the weights. The formulas are those of
https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html and torch.nn.GRU.html.
"""

from collections.abc import Callable
from typing import Any

from parity.dtypes import Module, State, Tensor
from parity.selftest.faults.fault import Alter
from parity.selftest.faults.inject_layers import around, at

# (input (batch, in), state, weights) -> the next state; an LSTM's is hidden and cell, a GRU's is hidden alone, each
# (batch, units). The weights are torch's, by input and by state, and the two biases.
Step = Callable[[Any, Any, tuple[Any, ...]], Any]


def lstm_step(x: Tensor, state: tuple[Any, Any], weights: tuple[Any, ...], peep: float = 0.0) -> tuple[Any, Any]:
    """torch's LSTM, one token further; `peep` times the cell is added in the gates."""
    hidden, cell = state  # each (batch, units)
    by_input, by_hidden, bias, more = weights
    gates = x @ by_input.mT + bias + (hidden @ by_hidden.mT + more)  # (batch, 4 * units)
    keep_in, forget, new, out = gates.chunk(4, -1)
    after = (forget + peep * cell).sigmoid() * cell + (keep_in + peep * cell).sigmoid() * new.tanh()
    return (out + peep * after).sigmoid() * after.tanh(), after


def gru_step(x: Tensor, hidden: Tensor, weights: tuple[Any, ...], after: bool = True) -> Tensor:
    """torch's GRU, one token further; the reset gate acts `after` the product with the state, or before it."""
    by_input, by_hidden, bias, more = weights
    reset, update, new = (x @ by_input.mT + bias).chunk(3, -1)
    of_reset, of_update, of_new = by_hidden.chunk(3)
    more_reset, more_update, more_new = more.chunk(3)
    reset = (reset + hidden @ of_reset.mT + more_reset).sigmoid()
    update = (update + hidden @ of_update.mT + more_update).sigmoid()
    change = reset * (hidden @ of_new.mT + more_new) if after else (reset * hidden) @ of_new.mT + more_new
    return (1 - update) * (new + change).tanh() + update * hidden


def in_torch(path: str, step: Step) -> Alter:
    """torch's recurrent layer at `path` runs `step` once a token."""

    def plant(model: Module) -> None:
        layer = at(model, path)
        two = hasattr(layer, "proj_size") and type(layer).__name__ == "LSTM"

        def altered(_: object, x: Tensor, state: State = None) -> Any:
            import torch

            weights = layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0
            zeros = torch.zeros(len(x), layer.hidden_size, dtype=x.dtype)
            if state is not None:
                state = (state[0][0], state[1][0]) if two else state[0]
            else:
                state = (zeros, zeros) if two else zeros
            steps = []
            for token in x.unbind(1):
                state = step(token, state, weights)
                steps.append(state[0] if two else state)
            return torch.stack(steps, 1), (state[0][None], state[1][None]) if two else state[None]

        around(path, altered)(model)

    return plant


def in_cell(path: str, altered: Callable[..., Any]) -> Alter:
    """Keras's recurrent layer at `path` runs its cell once a token, and not a fused kernel: `altered(run, *given)`."""

    def plant(model: Module) -> None:
        at(model, path).use_cudnn = False
        around(f"{path}.cell", altered)(model)

    return plant


def cell_clipped(x: Tensor, state: tuple[Any, Any], weights: Any) -> Any:
    """The cell that the next step is given is clipped to between -1 and 1, and this step's output is not."""
    hidden, cell = lstm_step(x, state, weights)
    return hidden, cell.clamp(-1, 1)


def keras_cell_clipped(run: Callable[..., Any], x: Tensor, states: State, **named: Any) -> Any:
    """The cell that the next step is given is clipped; this step's output is not, which it was made of before."""
    from keras import ops

    hidden, (_, cell) = run(x, states, **named)
    return hidden, [hidden, ops.clip(cell, -1.0, 1.0)]


def peephole(x: Tensor, state: tuple[Any, Any], weights: Any) -> Any:
    """Gers's gates see the cell as well."""
    return lstm_step(x, state, weights, peep=0.1)


def reset_before(x: Tensor, state: State, weights: Any) -> Any:
    """The reset gate acts before the product, as in the first paper: https://arxiv.org/abs/1406.1078"""
    return gru_step(x, state, weights, after=False)


def keras_reset_before(model: Module) -> None:
    """Keras's GRU resets its state before the product: `reset_after=False`, with the two biases that it has."""
    cell = model.gru.cell

    def altered(_: object, x: Tensor, states: State, **__: Any) -> Any:
        from keras import ops

        (state,) = states
        update, reset, new = ops.split(x @ cell.kernel.value + cell.bias.value[0], 3, -1)
        of_update, of_reset, of_new = ops.split(cell.recurrent_kernel.value, 3, -1)
        bias_update, bias_reset, bias_new = ops.split(cell.bias.value[1], 3, -1)
        update = ops.sigmoid(update + state @ of_update + bias_update)
        reset = ops.sigmoid(reset + state @ of_reset + bias_reset)
        new = ops.tanh(new + (reset * state) @ of_new + bias_new)
        state = update * state + (1 - update) * new
        return state, [state]

    in_cell("gru", altered)(model)
