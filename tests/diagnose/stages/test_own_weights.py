"""What may have happened to one side's own weights, from the values alone: each change taken back is tried."""

import numpy as np
import pytest
import torch
from torch import nn

from parity import Pair
from parity.diagnose.layers.orders import ordered
from parity.diagnose.relations import related
from parity.diagnose.stages import own_weights
from parity.diagnose.stages.own_relations import changes
from parity.pair.models import PairModels
from parity.strategies import arrays

RANDOM = np.random.default_rng(0)
UNITS = 4


def drawn(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def gates(array, order):
    parts = np.split(array, len(order), -1)
    return np.concatenate([parts[place] for place in order], -1)


def proposed(port, source, wanted):
    """The causes of the changes that make the port what it should be."""
    return [
        (cause, description)
        for cause, description, values in changes(port, source, related(source, port))
        if all(np.allclose({**port, **values}[name], array, rtol=0, atol=1e-12) for name, array in wanted.items())
    ]


CELLS = [{f"{way}.kernel": drawn(5, 12), f"{way}.recurrent": drawn(4, 12), f"{way}.bias": drawn(2, 12)} for way in "ab"]


def test_the_gates_of_all_cells_are_turned_at_once():
    wanted = CELLS[0] | CELLS[1]
    port = {name: gates(array, (1, 0, 2)) for name, array in wanted.items()}

    assert proposed(port, port, wanted) == [("gate order", "with its 3 gates in the order 2, 1, 3")]


def test_the_gates_of_one_cell_are_turned_alone():
    wanted = CELLS[0] | CELLS[1]
    port = {**wanted, **{name: gates(array, (0, 2, 1)) for name, array in CELLS[1].items()}}

    assert proposed(port, port, wanted) == [("gate order", "with its 3 gates in the order 1, 3, 2")]


def test_two_layers_of_gates_that_stand_together_are_a_cell():
    wanted = {"cell.given.weight": drawn(12, 5), "cell.state.weight": drawn(12, 4)}
    port = {name: gates(array.T, (1, 0, 2)).T for name, array in wanted.items()}

    assert proposed(port, port, wanted) == [("gate order", "with its 3 gates in the order 2, 1, 3")]


@pytest.mark.parametrize("blocks", [("h.0", "h.1"), ("h.0",)], ids=len)
def test_query_and_key_of_one_kernel_are_no_gates(blocks):
    wanted = {f"{of}.attn.qkv.kernel": drawn(4, 12) for of in blocks}
    wanted |= {f"{of}.attn.qkv.bias": drawn(12) for of in blocks}
    others = {f"{of}.attn.out.kernel": drawn(4, 4) for of in blocks} | {"mlp.up.kernel": drawn(4, 16)}
    port = {name: gates(array, (1, 0, 2)) for name, array in wanted.items()} | others

    assert proposed(port, port, wanted) == [("query key value", "with its 3 blocks in the order 2, 1, 3")]


def test_blocks_that_may_be_gates_or_not_are_called_neither():
    wanted = {"first.kernel": drawn(4, 12), "second.kernel": drawn(4, 12)}
    port = {name: gates(array, (1, 0, 2)) for name, array in wanted.items()}

    assert proposed(port, port, wanted) == [("order", "with its 3 blocks in the order 2, 1, 3")]


@pytest.mark.parametrize("shapes", [((10, 12), (10, 6)), ((10, 2, 6), (10, 1, 6))], ids=str)
def test_the_halves_of_query_and_key_are_turned_together(shapes):
    wanted = dict(zip(("query", "key"), (drawn(*shape) for shape in shapes), strict=True))
    places = [0, 2, 4, 1, 3, 5]  # of pairs as halves
    port = {name: array.reshape(10, -1, 6)[..., places].reshape(array.shape) for name, array in wanted.items()}

    assert ("rotary halves", "with the two parts of each head of 6 not laid out as pairs") in proposed(
        port, port, wanted
    )


def test_parts_of_one_kernel_were_exchanged_where_it_was_cut():
    fused = drawn(6, 12)
    wanted = dict(zip(("query", "key", "value"), np.split(fused, 3, 1), strict=True))
    port = {**wanted, "query": wanted["key"], "key": wanted["query"]}

    told = "in the place of key, and the other way round"
    assert proposed(port, {"qkv": fused}, wanted) == [("weights swapped", told)]


@pytest.mark.parametrize("shape", [(4, 6), (6, 4)], ids=str)
def test_the_inputs_behind_a_flatten_are_read_the_other_way_round(shape):
    """Of 4 channels at 6 places."""
    port = {"conv.kernel": drawn(3, 5, 4), "conv.bias": drawn(4), "fc.kernel": drawn(24, 7), "fc.bias": drawn(7)}
    wanted = {"fc.kernel": port["fc.kernel"].reshape(*shape, 7).swapaxes(0, 1).reshape(24, 7)}

    told = f"with its 24 inputs read as {shape[::-1]} the other way round"
    assert proposed(port, port, wanted) == [("flatten order", told)]


def test_one_of_two_biases_was_left_out():
    source = {"kernel": drawn(3, 5), "given": drawn(5), "state": drawn(5)}
    port = {"kernel": source["kernel"], "bias": source["given"]}
    wanted = {"bias": source["given"].astype(np.float64) + source["state"]}

    assert proposed(port, source, wanted) == [("bias missing", "without what the other side adds in state")]


def test_a_row_that_was_lost_is_told_beside_what_is_as_it_was():
    source = {"table": np.random.default_rng(0).standard_normal((40, 7)).astype(np.float32)}
    port = {"embeddings": np.concatenate([0 * source["table"][:1], source["table"][1:]])}
    name, told, values = next(changes(port, source, related(source, port)))

    assert (name, told) == ("weights changed", "as the other side has it, but for 7 of 280 elements")
    assert np.array_equal(values["embeddings"], source["table"])


def test_no_change_is_of_another_shape():
    port = {"dense_1.kernel": drawn(4, 4), "dense_2.kernel": drawn(6, 4)}

    assert all(
        values[name].shape == port[name].shape
        for _, _, values in changes(port, port, related(port, port))
        for name in values
    )


BLOCKS = ("0", "1")
PAIRS = [0, 2, 4, 1, 3, 5]  # of pairs as halves


def turned(values, parts):
    """The numbers of two heads of 6, kernel and bias alike, with the halves of each interleaved, of these layers."""
    heads = {name: array.reshape(*array.shape[:-1], 2, 6)[..., PAIRS] for name, array in values.items()}
    return {name: heads[name].reshape(of.shape) if name.split(".")[1] in parts else of for name, of in values.items()}


def attentions():
    """The parameters of two blocks; what stands beside query and key is as wide."""
    layers = [f"{block}.{part}" for block in BLOCKS for part in ("query", "key", "value")]
    biases = {f"{layer}.bias": drawn(12) for layer in layers}
    return {f"{layer}.kernel": drawn(10, 12) for layer in layers} | biases


@pytest.mark.parametrize("parts", [("query",), ("key",), ("query", "key")], ids="+".join)
def test_halves_that_nothing_turned_are_turned_of_query_or_key_alone_with_their_biases(parts):
    wanted = attentions()
    port = turned(wanted, parts)
    told = "with the two parts of each head of 6 not laid out as pairs"

    assert ("rotary halves", told) in proposed(port, port, wanted)


@pytest.mark.parametrize("parts", [("query",), ("query", "key")], ids="+".join)
def test_halves_that_a_converter_turned_are_called_so(parts):
    wanted = attentions()
    found = proposed(turned(wanted, parts), wanted, wanted)

    assert found[0] == ("rotary halves", "with each of 2 heads having what was interleaved in halves along axis 1")


PER_HEAD = [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]  # query, key and value of four heads, as those of each head


def test_a_fused_kernel_that_was_cut_otherwise_is_a_split_of_heads():
    wanted = {"qkv.weight": drawn(10, 48), "qkv.bias": drawn(48)}
    port = {name: gates(array, PER_HEAD) for name, array in wanted.items()}

    told = "with its 12 blocks along axis 1 read as (4, 3) the other way round"
    assert {*proposed(port, wanted, wanted)} == {("head split", told)}


@pytest.mark.parametrize(
    ("blocks", "cause"),
    [([0, 2, 1, 3], "order"), ([1, 0, 2], "query key value"), ([0, 2, 4, 1, 3, 5], "head split")],
    ids=["four", "three", "three of two"],
)
def test_blocks_in_another_order_are_no_single_values(blocks, cause):
    array = drawn(5, 24)

    assert [of.cause for of in ordered("dense", "", array, gates(array, blocks))] == [cause]


@pytest.mark.parametrize(("axes", "words"), [((0, 1), "axes 0, 1"), ((1,), "axis 1")])
def test_a_kernel_that_was_turned_round_is_backwards(axes, words):
    wanted = {"conv.kernel": drawn(3, 3, 2, 4), "other.kernel": drawn(3, 3, 2, 4)}
    port = {**wanted, "conv.kernel": np.flip(wanted["conv.kernel"], axes)}

    assert ("kernel backwards", f"backwards along {words}") in proposed(port, wanted, wanted)


class Shipped:
    """A model that gives parameters and takes them, as the model of a shipped file: it has no layers."""

    def __init__(self, model):
        self.model = model
        for verb in ("read", "write", "parameters", "outputs"):
            setattr(self, verb, getattr(model, verb))

    def copy_parameters_from(self, other):
        self.model.copy_parameters_from(other.model)


def normed(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)).eval()


@pytest.mark.parametrize("shipped", ["old", "new"])
def test_weights_of_another_training_are_the_cause_for_a_side_without_layers(shipped):
    pair = Pair("acme", torch={"old": lambda: normed(1), "new": lambda: normed(2)}, weights="given", inputs=arrays(4))
    corners = PairModels(pair)
    corners.models.update({of: Shipped(model) for of, model in corners.models.items() if of[0] == shipped})
    [cause] = own_weights.explain(corners)

    assert (cause.name, cause.told.partition(" in ")[0]) == ("weights changed", "new has other numbers than old")
