"""Links between layers that share no names: found, proved by running, or told to be open."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import linking
from parity import ParityError, backends, strategies
from parity.canonical.flow import Flow
from parity.frontends import cli
from parity.pair.link_table import survey
from parity.pair.links import find, guesses
from parity.pair.models import PairModels
from parity.pair.pair import Pair
from parity.pair.sides import Side
from tests.helpers import ports

DENSE, WIDE = ("dense", (("kernel", (3, 3)),)), ("dense", (("kernel", (5, 3)),))
NORM = ("layer_norm", (("gain", (3,)),))


LAYERS = 120


def side(layers, /, name="", **before):
    """Layers in the order of calls, and what flows into some of them."""
    flow = Flow()
    flow.before = {name: set(before.get(name, ())) for name in layers}
    return Side(layers, flow, name=name)


def linked(found):
    return {link.ours: (link.theirs, link.how) for link in found}


def test_the_same_name_and_the_only_ones_of_a_shape_are_linked():
    found = find(side({"a": DENSE, "b": WIDE, "c": DENSE}), side({"c": DENSE, "x": DENSE, "y": WIDE}), {})

    assert linked(found) == {"a": ("x", "shape"), "b": ("y", "shape"), "c": ("c", "name")}


def test_of_equals_the_last_names_and_then_the_order_of_calls_decide():
    ours = {"0.key": DENSE, "0.query": DENSE, "1.key": DENSE, "1.query": DENSE}
    named = find(side(ours), side({"a.query": DENSE, "a.key": DENSE, "b.query": DENSE, "b.key": DENSE}), {})
    alike = find(side(ours), side({"a.q": DENSE, "a.k": DENSE, "b.q": DENSE, "b.k": DENSE}), {})
    unlike = find(side(ours), side({"x0": DENSE, "x1": DENSE, "x2": DENSE, "x3": DENSE}), {})

    assert [link.theirs for link in named] == ["a.key", "a.query", "b.key", "b.query"]
    assert [link.theirs for link in alike] == ["a.k", "a.q", "b.k", "b.q"]
    assert [link.theirs for link in unlike] == ["x0", "x1", "x2", "x3"]
    assert {link.how for link in (*named, *alike, *unlike)} == {"order"}
    assert unlike[0].rivals == ("x1", "x2", "x3")


def test_what_flows_where_goes_before_the_order_of_calls():
    """A norm's twin stands behind the twin of its convolution, whichever branch is called first."""
    ours = side(
        {"a": DENSE, "a.norm": NORM, "b": WIDE, "b.norm": NORM, "c": DENSE},
        **{"a.norm": ["a"], "b": ["a"], "b.norm": ["b"], "c": ["a.norm", "b.norm"]},
    )
    theirs = side({"p": DENSE, "q": WIDE, "n": NORM, "m": NORM, "r": DENSE}, q=["p"], n=["q"], m=["p"], r=["m", "n"])
    found = find(ours, theirs, {})

    assert linked(found)["a.norm"] == ("m", "flow")
    assert linked(found)["b.norm"] == ("n", "flow")
    assert linked(found)["c"] == ("r", "flow")
    assert [link.theirs for link in find(side(ours.layers), side(theirs.layers), {})][1:4:2] == ["n", "m"]


def test_a_place_where_the_sides_flow_otherwise_says_nothing_and_others_still_do():
    ours = side(dict.fromkeys("abcd", DENSE), b=["a"], c=["b"], d=["c"])
    theirs = side(dict.fromkeys("wxyz", DENSE), x=["w"], y=["x", "w"], z=["y"])

    assert linked(find(ours, theirs, {})) == dict(zip("abcd", [(of, "flow") for of in "wxyz"], strict=True))


def test_a_layer_that_is_never_called_leaves_the_others_their_twins():
    ours = side(dict.fromkeys("abc", DENSE), c=["a"])
    found = find(ours, side(dict.fromkeys("xy", DENSE), y=["x"]), {})

    assert linked(found) == {"a": ("x", "flow"), "c": ("y", "flow")}


def test_what_stands_behind_a_guess_moves_with_it():
    """Of two branches that nothing tells apart, each order is tried with the norms behind the convolutions."""
    ours = side({"a": DENSE, "b": DENSE, "m": NORM, "n": NORM}, m=["a"], n=["b"])
    theirs = side({"p": DENSE, "q": DENSE, "r": NORM, "s": NORM}, r=["p"], s=["q"])
    tries = [guess.links for guess in guesses(ours, theirs, {})]

    assert ["".join(link.theirs for link in links) for links in tries] == ["pqrs", "qpsr"]
    assert [link.how for link in tries[0]] == ["order", "order", "flow", "flow"]


def test_last_names_that_differ_settle_what_flow_does_not():
    ways = {"a.backward": DENSE, "a.forward": DENSE}
    found = find(side(ways), side({"b.forward": DENSE, "b.backward": DENSE}), {})

    assert linked(found) == {"a.backward": ("b.backward", "name"), "a.forward": ("b.forward", "name")}


def test_a_layer_of_ones_own_is_the_twin_of_any_kind_with_its_parameters():
    lstm, gates = ("kernel", (8, 3)), ("bias", (8,))
    ours = {"a": ("lstm", (lstm, gates)), "b": ("custom", (lstm,)), "c": DENSE}
    found = find(side(ours), side({"x": ("custom", (gates, lstm)), "y": ("lstm", (lstm,)), "z": WIDE}), {})

    assert linked(found) == {"a": ("x", "shape"), "b": ("y", "shape")}
    assert [link.kind for link in found] == ["lstm", "lstm"]


def test_what_the_pair_says_goes_before_all():
    found = find(side({"a": DENSE, "b": DENSE}), side({"a": DENSE, "b": DENSE}), {"a": "b", "b": "a"})

    assert linked(found) == {"a": ("b", "given"), "b": ("a", "given")}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"aa": "b"}, "links: torch has no layer 'aa'; did you mean a? there is a, c"),
        ({"a": "z"}, "links: tensorflow has no layer 'z'; there is b, d"),
        ({"a": "d"}, "links: a is dense kernel (3, 3) and d is dense kernel (5, 3); they cannot match"),
    ],
)
def test_what_the_pair_says_has_to_be_there(given, message):
    with pytest.raises(ParityError, match=f"^{re.escape(message)}$"):
        find(side({"a": DENSE, "c": WIDE}, "torch"), side({"b": DENSE, "d": WIDE}, "tensorflow"), given)


def test_an_order_that_does_not_agree_is_changed_for_one_that_does():
    """torch calls key, query, value in each block, and TensorFlow query, key, value under other names."""
    corners = PairModels(ports.attention)

    assert corners.unproved == ()
    assert linked(corners.links) == {
        "blocks.0.key": ("first.dense_b", "order"),
        "blocks.0.query": ("first.dense_a", "order"),
        "blocks.0.value": ("first.dense_c", "order"),
        "blocks.1.key": ("second.dense_b", "order"),
        "blocks.1.query": ("second.dense_a", "order"),
        "blocks.1.value": ("second.dense_c", "order"),
        "head": ("out", "shape"),
    }
    assert list(corners.models["tensorflow", "float64"].named_modules())[:3] == ["", "blocks.0", "blocks.0.query"]


def test_where_no_order_agrees_the_links_are_told_to_be_open():
    found = survey(ports.scaled)

    assert not found.holds
    assert [link.ours for link in found.unproved] == [link.ours for link in PairModels(ports.attention).links][:-1]
    settled = replace(ports.scaled, links={link.ours: link.theirs for link in found.unproved})
    assert PairModels(settled).unproved == ()


def shifted(model, x, training):
    return {name: array + 1e-3 for name, array in model(x, training=training).items()}


def test_an_order_that_is_far_nearer_than_others_is_proved_though_the_pair_differs():
    assert PairModels(replace(ports.attention, call={"tensorflow": shifted})).unproved == ()


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
    assert lines[-1] == "matched: 3 layers, 6 parameters, none unmatched"
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
        "torch": {"head": "dense kernel (5, 7), bias (5)"},
        "tensorflow": {"dense_1": "dense kernel (6, 7), bias (6)"},
    }
    assert not found.holds


def test_linking_runs_each_side_once(monkeypatch):
    runs = Counter()
    for side, backend in backends.load().items():
        forward = backend.Model._forward

        def counting(*given, of=side, run=forward, **named):
            runs[of] += 1
            return run(*given, **named)

        monkeypatch.setattr(backend.Model, "_forward", counting)
    linking.measure(LAYERS)

    assert runs == {"torch": 1, "tensorflow": 2}  # Keras makes its variables in one


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


def test_settings_that_differ_alike_are_one_line_and_one_value_along_each_axis_is_that_value(monkeypatch, tmp_path):
    """A convolution over all of one axis has strides along two where the same over one has a single one."""
    (tmp_path / "many.py").write_text(
        "import keras\nfrom torch import nn\nfrom parity import Pair, strategies\n"
        "class Wide(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = nn.Conv2d(1, 5, (3, 7))\n"
        "        self.norms = nn.Sequential(*(nn.LayerNorm(5) for _ in range(5)))\n"
        "    def forward(self, x):\n"
        "        return self.norms(self.conv(x[:, None])[..., 0].transpose(1, 2))\n"
        "def narrow():\n"
        "    norms = [keras.layers.LayerNormalization(epsilon=1e-3) for _ in range(5)]\n"
        "    return keras.Sequential([keras.Input((9, 7)), keras.layers.Conv1D(5, 3, name='conv'), *norms])\n"
        "pair = Pair('many', torch=Wide, tensorflow=narrow, inputs=strategies.arrays(9, 7))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    result = CliRunner().invoke(cli.cli, ["links", "many:pair"], standalone_mode=False)

    assert [line for line in result.stdout.splitlines() if line.startswith("settings differ")] == [
        "settings differ: norms.0, norms.1, norms.2 and 2 more epsilon: torch 1e-05, tensorflow 0.001"
    ]
