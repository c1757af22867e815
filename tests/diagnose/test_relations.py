"""What a parameter was made from is found from its values, whatever it is called and however it is laid out."""

import numpy as np
import pytest

from parity.diagnose.relations import related, tied, unused
from parity.diagnose.stages import own_relations
from parity.report import relations as table

RANDOM = np.random.default_rng(0)
SHAPES = {"fused": (12, 36), "square": (8, 8), "wide": (15, 10), "conv": (6, 5, 3, 3), "table": (40, 7), "in": (32,)}
SHAPES |= {"hidden": (32,), "query": (12, 9), "key": (12, 9), "value": (12, 9), "gates": (32, 8), "spare": (11,)}
SOURCE = {name: RANDOM.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
SOURCE["ones"] = np.ones(5, np.float32)


def gates(array):
    return array.reshape(4, 8, -1)[[1, 0, 2, 3]].reshape(array.shape)


def lost(array):
    changed = array.copy()
    changed[3, :2] = 0.5
    return changed


def without_row(row):
    changed = SOURCE["table"].copy()
    changed[row] = 0
    return changed


MADE = {
    "as it is": (SOURCE["wide"], ("wide",), ()),
    "transposed": (SOURCE["square"].T, ("square",), ("transposed",)),
    "reshaped": (SOURCE["gates"].reshape(4, 8, 8), ("gates",), ("reshaped",)),
    "a part of a fused one, with heads": (SOURCE["fused"][:, 12:24].reshape(12, 3, 4), ("fused",), ("a part",)),
    "heads turned": (SOURCE["query"].reshape(3, 4, 9).transpose(0, 2, 1), ("query",), ("transposed",)),
    "a kernel": (SOURCE["conv"].transpose(2, 3, 1, 0), ("conv",), ("transposed",)),
    "three joined": (
        np.concatenate([SOURCE["query"], SOURCE["key"], SOURCE["value"]]).T,
        ("query", "key", "value"),
        ("joined", "transposed"),
    ),
    "gates in another order": (gates(SOURCE["gates"]).T, ("gates",), ("in another order", "transposed")),
    "rows one further": (np.roll(SOURCE["table"], 1, 0), ("table",), ("in another order",)),
    "through float16": (SOURCE["wide"].astype(np.float16), ("wide",), ("rounded through float16",)),
    "a part through float16": (
        SOURCE["fused"][:, :12].T.astype(np.float16),
        ("fused",),
        ("a part", "transposed", "rounded through float16"),
    ),
    "the first row lost": (without_row(0), ("table",), ("but for 7 of 280 elements",)),
    "a row lost": (without_row(5).T, ("table",), ("transposed", "but for 7 of 280 elements")),
    "the last row lost": (without_row(39), ("table",), ("but for 7 of 280 elements",)),
    "two numbers lost": (lost(SOURCE["table"]), ("table",), ("but for 2 of 280 elements",)),
    "two biases as one": (SOURCE["in"] + SOURCE["hidden"], ("in", "hidden"), ("added up",)),
    "one more": (SOURCE["spare"] + 1, ("spare",), ("with 1 added",)),
    "half of it": (SOURCE["square"].T / 2, ("square",), ("transposed", "multiplied by 1/2")),
    "a constant": (np.ones(5), ("ones",), ("constant",)),
    "drawn": (RANDOM.standard_normal((15, 10)), (), ()),
}


@pytest.mark.parametrize("name", MADE)
def test_what_an_array_was_made_from_is_named(name):
    array, sources, how = MADE[name]
    (found,) = related(SOURCE, {"port": np.asarray(array, np.float32)})

    assert (found.sources, found.how) == (sources, how)
    assert found.exact == (bool(sources) and {*how} <= {"transposed", "reshaped", "a part", "joined", "constant"})


def test_what_nothing_was_made_from_is_listed():
    port = {name: array for name, array in SOURCE.items() if name != "spare"}

    assert unused(SOURCE, related(SOURCE, port)) == ["spare"]


def test_a_table_that_is_tied_on_one_side_alone_is_told():
    one, bias = SOURCE["wide"], SOURCE["spare"]
    untied = related({"embed": one, "bias": bias}, {"table": one, "head": one.T, "b": bias})
    again = {"embed": one, "head": one.copy(), "bias": bias}

    assert [(of.how, of.exact) for of in untied] == [(("untied",), True), (("transposed", "untied"), True), ((), True)]
    assert tied(again, related(again, {"table": one, "b": bias})) == {"head": "embed"}
    assert tied({**again, "head": one + 1}, related(again, {"table": one, "b": bias})) == {}


def test_parameters_that_are_alike_are_one_row():
    layers = {f"layers.{at}.kernel": RANDOM.standard_normal((4, 6)).astype(np.float32) for at in range(3)}
    found = related(layers, {name.replace("layers.", "layer_"): array.T for name, array in layers.items()})
    told = table.counted(found, {**layers, "extra": np.ones(2)}, ("a", "b"))

    assert table.rows(found) == [("layer_*.kernel", (6, 4), "layers.*.kernel", ("transposed",), 3)]
    assert told.startswith("3 of 3 parameters were made from the source's, 3 of them bit for bit; 1 of the source")


def undone(port):
    """Cause, and what it gives, of each change that is tried."""
    return [(name, values) for name, _, values in own_relations.changes(port, SOURCE, related(SOURCE, port))]


def test_what_happened_to_parameters_is_undone():
    square, query, key = SOURCE["square"], SOURCE["query"], SOURCE["key"]
    twisted = undone({"a.0.k": square.T, "a.1.k": square.T})
    swapped = undone({"a.query": key, "a.key": query})
    lost = undone({"a.bias": np.zeros_like(SOURCE["spare"])})

    assert any(name == "transposed" and [*values] == ["a.0.k", "a.1.k"] for name, values in twisted)
    assert any(name == "weights swapped" and (values["a.query"] == query).all() for name, values in swapped)
    assert any(name == "weights not copied" and (values["a.bias"] == SOURCE["spare"]).all() for name, values in lost)
