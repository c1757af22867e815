"""A recurrent function reads past arrays that do not fit together, and ends the process: parity asks before it."""

import pytest
import torch
from torch import _VF, nn

from parity.backends.torch.signatures import fits


def arguments(**changes):
    layer = nn.LSTM(3, 5, 2, bidirectional=True, batch_first=True)
    state = torch.zeros(4, 2, 5)
    named = {
        "data": torch.zeros(2, 7, 3),
        "states": (state, state),
        "weights": layer._flat_weights,
        "biases": True,
        "layers": 2,
        "dropout": 0.0,
        "training": False,
        "both": True,
        "first": True,
    }
    return list({**named, **changes}.values())


def test_what_a_layer_gives_fits():
    assert fits(_VF.lstm, arguments())
    _VF.lstm(*arguments())
    assert fits(torch.zeros, [(2, 0)])


def test_what_a_packed_and_a_projecting_layer_give_fits():
    packed = nn.utils.rnn.pack_padded_sequence(torch.zeros(2, 7, 3), torch.tensor([7, 4]), batch_first=True)
    _, *others = arguments(states=(torch.zeros(4, 2, 5),) * 2)
    assert fits(_VF.lstm, [packed.data, packed.batch_sizes, *others[:-1]])
    layer = nn.LSTM(3, 5, proj_size=4, batch_first=True)
    states = torch.zeros(1, 2, 4), torch.zeros(1, 2, 5)
    assert fits(_VF.lstm, arguments(states=states, weights=layer._flat_weights, layers=1, both=False))


@pytest.mark.parametrize(
    "change",
    [
        {"states": (torch.zeros(4, 0, 5), torch.zeros(4, 2, 5))},
        {"states": (torch.zeros(2, 2, 5), torch.zeros(4, 2, 5))},
        {"data": torch.zeros(2, 7, 4)},
        {"layers": 3},
        {"biases": False, "layers": 1},
        {"both": False},
        {"first": False},
    ],
    ids=str,
)
def test_what_does_not_fit_is_told(change):
    assert not fits(_VF.lstm, arguments(**change))
