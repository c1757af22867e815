"""Batches of the user's own: arrays, tensors and what yields them, cut and permuted, and as they are."""

import numpy as np
import pytest
import torch

from parity import ParityError, backends
from parity.inputs.batches import strategy
from parity.inputs.sampling import examples, specimens

ROWS = np.arange(1.0, 21.0).reshape(10, 2)


def drawn(inputs, count=40):
    return examples(strategy(inputs), count, 0)


def test_rows_are_cut_and_permuted_and_the_batch_is_among_them():
    found = drawn(ROWS)

    assert np.array_equal(found[0], ROWS[:1])
    assert {array.dtype.name for array in found} == {"float32"}
    assert any(np.array_equal(array, ROWS) for array in found)
    assert any(len(array) > 1 and not array[-1].any() for array in found)
    assert any((np.diff(array[:, 0]) < 0).any() for array in found if array[-1].any())
    assert all(len(array) <= 4 and array.all() for array in specimens(strategy(ROWS), 4))  # without edges


def test_arrays_in_a_tuple_or_a_dict_keep_their_rows_together():
    mask = np.ones((10, 2))
    mask[:, 1] = 0
    for found in drawn({"x": ROWS, "ids": np.arange(10), "mask": mask}):
        numbers = found["x"][:, 0]
        assert np.array_equal(found["ids"][numbers > 0], (numbers[numbers > 0] - 1) / 2)
        assert found["mask"][:, 0].all()  # two numbers are no edges


def test_a_loader_and_tensors_are_read_when_they_are_drawn_first():
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(ROWS), torch.arange(10))
    loader = torch.utils.data.DataLoader(pairs, batch_size=4)
    found = drawn(loader)

    assert {type(of) for of in found} == {tuple}
    assert {len(x) for x, _ in found} >= {1, 2, 4}
    assert np.concatenate([of[1] for of in found]).max() == 9
    assert drawn(torch.ones(3, 2, requires_grad=True))[0].tolist() == [[1.0, 1.0]]
    strategy(iter(lambda: pytest.fail("it is read too early"), None))


def test_a_dataset_of_tensorflow_is_read_batch_by_batch():
    backends.load()  # the order of the imports
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices({"x": ROWS, "label": np.arange(10)}).batch(4)
    found = drawn(dataset)

    assert {len(of["x"]) for of in found} >= {1, 2, 4}
    assert all(isinstance(array, np.ndarray) for of in found for array in of.values())
    assert max(of["label"].max() for of in found) == 9


def test_what_is_no_batch_is_told():
    with pytest.raises(
        ParityError, match=r"^inputs is int; it must be a strategy, strategies\.arrays\(11\) say, arrays whose"
    ):
        strategy(3)
    with pytest.raises(ParityError, match="inputs yield no batch"):
        drawn([])
    with pytest.raises(ParityError, match=r"the first axis of each is the batch"):
        drawn((ROWS, ROWS[:3]))
