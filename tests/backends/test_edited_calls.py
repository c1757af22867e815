"""An edited call is tried without numbers first: some kernels read past arrays that do not fit, and end the process."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from parity.backends.operations import Edit
from parity.backends.torch.operations import Recorded
from parity.backends.torch.signatures import MOST, bare

torch.manual_seed(0)
X = torch.rand(4, 6, 5)
LAYER = nn.LSTM(5, 7, batch_first=True)  # in float32, where oneDNN's kernel asks nothing


def run(x, layer=LAYER):
    state = torch.zeros(1, 4, 7) + 1.0
    return nn.functional.pad(layer(x, (state, state))[0] * 2.0, (1, 1))


def recorded(x=X, layer=LAYER):
    return Recorded(lambda: run(x, layer), nullcontext, {}, {"input": x})


@pytest.fixture(scope="module")
def whole():
    return recorded()


def numbered(run):
    return {one.name: number for number, one in enumerate(run.trace.operations)}


def test_what_is_edited_and_fits_is_run(whole):
    number = numbered(whole)["lstm"]
    [output, *_] = whole.results(number, [Edit(number, 1, lambda given: 2 * given[1])])
    assert output.shape == (4, 6, 7)
    assert not np.array_equal(output, whole.results(number, [])[0])


def test_a_result_of_no_axes_stays_one(whole):
    number = numbered(whole)["lstm"]
    [output, *_] = whole.results(number, [Edit(number, after=lambda output: np.asarray(output.mean()))])
    assert output.shape == ()


@pytest.mark.parametrize("shape", [(1, 1, 7), (1, 6, 7), (2, 4, 7), (1, 4, 9)], ids=str)
def test_states_that_do_not_fit_are_told_before_the_kernel_reads_them(whole, shape):
    number = numbered(whole)["lstm"]
    edits = [Edit(number, at, lambda given: np.zeros(shape, np.float32)) for at in (1, 2)]
    with pytest.raises((RuntimeError, IndexError, ValueError)):
        whole.results(number, edits)


def test_an_empty_state_is_told_though_it_broadcasts():
    """Of one row, where a run without numbers takes it and the kernel reads past it."""
    one = Recorded(lambda: LAYER(X[:1], (torch.ones(1, 1, 7),) * 2)[0], nullcontext, {}, {"input": X})
    number = numbered(one)["lstm"]
    with pytest.raises(ValueError, match="lstm is given arrays that do not fit together"):
        one.results(number, [Edit(number, 1, lambda given: np.zeros((1, 0, 7), np.float32))])


def test_what_comes_to_another_shape_by_an_edit_before_is_no_result(whole):
    number = numbered(whole)["add"]
    trace = whole.again([Edit(number, None, lambda _: np.zeros((1, 1, 7), np.float32))])
    assert trace.values[whole.trace.operations[numbered(whole)["lstm"]].makes[0]].array is None


def test_what_would_fill_the_memory_is_not_made(whole):
    number = numbered(whole)["pad"]
    with pytest.raises(ValueError, match=f"pad makes more than {MOST} numbers"):
        whole.results(number, [Edit(number, "value", lambda _: 0.0), Edit(number, 1, lambda _: 2**30)])


def test_what_reads_numbers_is_run_as_it_is():
    kept = Recorded(lambda: X[X > 0.5] * 3.0, nullcontext, {}, {"input": X})
    number = numbered(kept)["__getitem__"]
    [made] = kept.results(number, [Edit(number, 0, lambda given: 2 * given[0])])
    assert np.array_equal(made, 2 * X[X > 0.5].numpy())


def test_no_number_is_kept():
    assert bare(X).device.type == "meta"
    assert bare(torch.device("cpu")).type == "meta"
    assert bare(X.to_sparse()).layout == torch.sparse_coo


@pytest.mark.parametrize("inplace", [False, True], ids=["beside", "inplace"])
def test_what_writes_into_its_argument_leaves_an_edited_value_as_the_edit_makes_it(inplace):
    """torch has no other name for an activation that is called with inplace=True."""
    model = nn.Sequential(nn.Conv1d(3, 4, 3), nn.ReLU6(inplace=inplace), nn.Conv1d(4, 2, 3)).double()
    x = torch.randn(1, 3, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    run = Recorded(lambda: model(x), nullcontext, {}, {"input0": x, **dict(model.named_parameters())})
    trace = run.edited([Edit(0, after=lambda array: 8 * array)]).trace

    assert np.array_equal(trace.values[run.trace.operations[0].makes[0]].array, 8 * model[0](x).detach().numpy())
