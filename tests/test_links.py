"""Links between layers that share no names: found, proved by running, or told to be open."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import linking
from parity import ParityError, backends, cli, strategies
from parity.corners import Corners
from parity.links import find
from parity.pair import Pair
from parity.survey import survey
from tests import ports

DENSE, WIDE = ("dense", (("kernel", (3, 3)),)), ("dense", (("kernel", (5, 3)),))


LAYERS = 120


def linked(found):
    return {link.torch: (link.tensorflow, link.how) for link in found}


def test_the_same_name_and_the_only_ones_of_a_shape_are_linked():
    found = find({"a": DENSE, "b": WIDE, "c": DENSE}, {"c": DENSE, "x": DENSE, "y": WIDE}, {})

    assert linked(found) == {"a": ("x", "shape"), "b": ("y", "shape"), "c": ("c", "name")}


def test_of_equals_the_last_names_and_then_the_order_of_calls_decide():
    ours = {"0.key": DENSE, "0.query": DENSE, "1.key": DENSE, "1.query": DENSE}
    named = find(ours, {"a.query": DENSE, "a.key": DENSE, "b.query": DENSE, "b.key": DENSE}, {})
    alike = find(ours, {"a.q": DENSE, "a.k": DENSE, "b.q": DENSE, "b.k": DENSE}, {})
    unlike = find(ours, {"x0": DENSE, "x1": DENSE, "x2": DENSE, "x3": DENSE}, {})

    assert [link.tensorflow for link in named] == ["a.key", "a.query", "b.key", "b.query"]
    assert [link.tensorflow for link in alike] == ["a.k", "a.q", "b.k", "b.q"]
    assert [link.tensorflow for link in unlike] == ["x0", "x1", "x2", "x3"]
    assert {link.how for link in (*named, *alike, *unlike)} == {"order"}
    assert unlike[0].rivals == ("x1", "x2", "x3")


def test_a_layer_of_ones_own_is_the_twin_of_any_kind_with_its_parameters():
    lstm, gates = ("kernel", (8, 3)), ("bias", (8,))
    ours = {"a": ("lstm", (lstm, gates)), "b": ("custom", (lstm,)), "c": DENSE}
    found = find(ours, {"x": ("custom", (gates, lstm)), "y": ("lstm", (lstm,)), "z": WIDE}, {})

    assert linked(found) == {"a": ("x", "shape"), "b": ("y", "shape")}
    assert [link.kind for link in found] == ["lstm", "lstm"]


def test_what_the_pair_says_goes_before_all():
    found = find({"a": DENSE, "b": DENSE}, {"a": DENSE, "b": DENSE}, {"a": "b", "b": "a"})

    assert linked(found) == {"a": ("b", "given"), "b": ("a", "given")}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"aa": "b"}, "links: torch has no layer 'aa'; did you mean a? there is a, c"),
        ({"a": "z"}, "links: tensorflow has no layer 'z'; there is b, d"),
        ({"a": "d"}, "links: a is dense kernel (3, 3) and d is dense kernel (5, 3); they are no twins"),
    ],
)
def test_what_the_pair_says_has_to_be_there(given, message):
    with pytest.raises(ParityError, match=f"^{re.escape(message)}$"):
        find({"a": DENSE, "c": WIDE}, {"b": DENSE, "d": WIDE}, given)


def test_an_order_that_does_not_agree_is_changed_for_one_that_does():
    """torch calls key, query, value in each block, and TensorFlow query, key, value under other names."""
    corners = Corners(ports.attention)

    assert corners.unproved == ()
    assert linked(corners.links) == {
        "blocks.0.key": ("block.dense_b", "order"),
        "blocks.0.query": ("block.dense_a", "order"),
        "blocks.0.value": ("block.dense_c", "order"),
        "blocks.1.key": ("block_1.dense_b", "order"),
        "blocks.1.query": ("block_1.dense_a", "order"),
        "blocks.1.value": ("block_1.dense_c", "order"),
        "head": ("dense", "shape"),
    }
    assert list(corners.models["tensorflow", "float64"].nodes())[:3] == ["", "blocks.0", "blocks.0.query"]


def test_where_no_order_agrees_the_links_are_told_to_be_open():
    found = survey(ports.scaled)

    assert not found.holds
    assert [link.torch for link in found.unproved] == [link.torch for link in Corners(ports.attention).links][:-1]
    settled = replace(ports.scaled, links={link.torch: link.tensorflow for link in found.unproved})
    assert Corners(settled).unproved == ()


def shown(module, monkeypatch, *args):
    monkeypatch.syspath_prepend(Path(module.__file__).parent)
    result = CliRunner().invoke(cli.cli, ["links", *map(str, args)], standalone_mode=False)
    return result.return_value, result.stdout.splitlines()


def test_the_table_says_how_parameters_correspond(monkeypatch, tmp_path, valid):
    status, lines = shown(ports, monkeypatch, "ports:other_epsilon", "--json", tmp_path / "links.json")

    assert status == 0
    assert lines[0].split() == ["torch", "tensorflow", "kind", "parameter", "shape", "variables", "found", "by"]
    assert lines[1].split()[:6] == ["filter", "conv1d", "conv1d", "kernel", "(7,", "3,"]
    assert lines[1].split()[-1] == "shape"
    assert "settings differ: norm epsilon: torch 0.001, tensorflow 1e-05" in lines
    assert lines[-1] == "linked: 3 layers, 6 parameters, none left over"
    document = valid("links", (tmp_path / "links.json").read_text())
    assert document["links"][1]["settings"] == {"epsilon": ["0.001", "1e-05"]}
    assert document["links"][2]["parameters"]["kernel"] == {
        "shape": [5, 7],
        "torch": "same",
        "tensorflow": "transposed",
    }


def keras_wider():
    import keras

    model = ports.keras_signal()
    return keras.Sequential([*model.layers[:-1], keras.layers.Dense(6)])


def test_what_has_no_twin_is_named_on_both_sides():
    found = survey(replace(ports.signal, tensorflow=keras_wider))

    assert found.left_over == {
        "torch": ["head (dense kernel (5, 7), bias (5))"],
        "tensorflow": ["dense_1 (dense kernel (6, 7), bias (6))"],
    }
    assert not found.holds


class Counted(tuple):
    """A layer's kind and shapes, which counts how often it is compared."""

    compared = 0
    __hash__ = tuple.__hash__

    def __eq__(self, other):
        Counted.compared += 1
        return tuple.__eq__(self, other)


def test_many_layers_are_linked_by_a_few_comparisons_each():
    ours, theirs = ({f"{side}{n}": Counted(("dense", (("kernel", (n, 3)),))) for n in range(LAYERS)} for side in "ab")
    found = find(ours, theirs, {})

    assert linked(found) == {f"a{n}": (f"b{n}", "shape") for n in range(LAYERS)}
    assert 0 < Counted.compared <= 8 * LAYERS


def test_linking_runs_each_side_once(monkeypatch):
    runs = Counter()
    for side, backend in backends.load().items():
        replay = backend.Model.replay

        def counting(*given, of=side, run=replay):
            runs[of] += 1
            return run(*given)

        monkeypatch.setattr(backend.Model, "replay", counting)
    linking.measure(LAYERS)

    assert runs == {"torch": 1, "tensorflow": 1}


def test_momenta_are_compared_by_what_each_keeps():
    import keras
    from torch import nn

    pair = Pair(
        "norm",
        lambda: nn.BatchNorm1d(5, eps=1e-3),
        lambda: keras.Sequential([keras.layers.BatchNormalization()]),
        inputs=strategies.arrays(5),
    )

    assert survey(pair).twins[0].settings == {"momentum": (0.9, 0.99)}
