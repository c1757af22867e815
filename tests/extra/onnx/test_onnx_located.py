"""ONNX files: a difference is placed at a node of the graph, and the command line puts a file in a side's place."""

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import helper
from torch import nn

from parity import Pair, api
from parity.backends import load
from parity.frontends import cli
from parity.strategies import arrays
from tests.extra.onnx.graphs import INPUTS, Net, net_weights, nodes, written

load(["torch", "onnx"])


class Biased(Net):
    """As `Net`, with biases that are not zeros."""

    def __init__(self):
        super().__init__()
        self.norm.bias.data += 0.3


class Shares(Net):
    """As `Net`, with a softmax behind it."""

    def forward(self, x):
        return super().forward(x).softmax(-1)


class Padded(Net):
    """As `Net`, with a zero behind what it is given."""

    def forward(self, x):
        return super().forward(nn.functional.pad(x, (0, 1)))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A user's project: a module with a pair, and a file with another epsilon."""
    written(tmp_path / "acme.onnx", nodes(), net_weights())
    written(tmp_path / "wrong.onnx", nodes(epsilon=2e-5), net_weights())
    (tmp_path / "mine.py").write_text(
        "from parity import Pair\nfrom tests.extra.onnx.graphs import INPUTS, Net\n\n"
        'def other():\n    raise RuntimeError("never built")\n\n'
        "pair = Pair('acme', torch=Net, tensorflow=other, inputs=INPUTS)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("mine", None)


def checked(path, torch=Net, inputs=INPUTS):
    """The diagnosis of a file beside its source."""
    pair = Pair("acme", torch=torch, onnx=path, inputs=inputs)
    return api.check(pair, examples=1, checks=["forward"])["forward"].findings[0].diagnosis


def test_a_difference_is_placed_at_its_node_with_its_attributes_and_the_cause(project):
    found = checked(project / "wrong.onnx")
    [node] = [one for one in found.operations if one.side == "onnx"]

    assert found.where == ("norm",)
    assert node.call == "LayerNormalization(axis=-1, epsilon=2e-05)"
    assert [cause.name for cause in found.causes] == ["epsilon"]
    assert found.causes[0].where == "norm"


def test_weights_that_went_through_half_precision_are_the_cause(tmp_path):
    weights = {name: array.astype(np.float16).astype(np.float32) for name, array in net_weights().items()}
    found = checked(written(tmp_path / "acme.onnx", nodes(), weights))

    assert [cause.name for cause in found.causes] == ["weights rounded"]


def test_a_lost_bias_and_a_wrong_pad_are_placed_where_they_are(tmp_path):
    weights = net_weights() | {"norm.bias": net_weights()["norm.bias"] + np.float32(0.3)}
    for at, name in ((1, "norm"), (3, "last")):  # the graph goes on with what torch has, too, before it adds
        body = nodes()
        body[at].input[2] = "nothing"
        size = weights["norm.bias" if at == 1 else "head.bias"].shape
        path = written(tmp_path / "acme.onnx", body, {**weights, "nothing": np.zeros(size, np.float32)})
        assert checked(path, torch=Biased).where == (name,)

    pads = [helper.make_node("Pad", ["x", "pads"], ["padded"], "pad"), nodes()[0], *nodes()[1:]]
    pads[1].input[0] = "padded"
    path = written(tmp_path / "acme.onnx", pads, net_weights() | {"pads": np.array([0, 1, 0, 0])}, width=4)
    assert checked(path, torch=Padded, inputs=arrays(4)).where == ("pad",)


def test_what_makes_one_number_of_all_is_the_place_and_not_what_goes_on_from_it(tmp_path):
    lost = {**net_weights(), "norm.weight": np.zeros(7, np.float32)}
    assert checked(written(tmp_path / "acme.onnx", nodes(), lost)).where == ("norm",)

    body = [*nodes(), helper.make_node("Softmax", ["z"], ["y"], "soft", axis=0)]
    body[3].output[0] = "z"  # of one row, on which the difference is shown, all shares are 1
    assert checked(written(tmp_path / "acme.onnx", body, net_weights()), torch=Shares).where == ("soft",)


def test_arithmetic_of_shapes_is_no_place(tmp_path):
    body = [
        helper.make_node("Shape", ["a"], ["shape"], "shape"),
        helper.make_node("Concat", ["shape", "one"], ["longer"], "longer", axis=0),
        helper.make_node("Reshape", ["c", "longer"], ["d"], "away"),
        helper.make_node("Squeeze", ["d", "last"], ["e"], "back"),
    ]
    first, norm, gelu, last = nodes(epsilon=2e-5)
    last.input[0] = "e"
    weights = net_weights() | {"one": np.array([1]), "last": np.array([2])}
    path = written(tmp_path / "acme.onnx", [first, norm, gelu, *body, last], weights)

    assert checked(path).where == ("norm",)


def test_what_runs_a_row_at_a_time_is_placed_too(tmp_path):
    path = written(tmp_path / "acme.onnx", nodes(epsilon=2e-5), net_weights(), rows=1)

    assert checked(path).where == ("norm",)


def test_the_command_line_puts_a_file_in_a_sides_place(project):
    def run(*given):
        return CliRunner().invoke(cli.cli, ["check", "mine:pair", "--examples", "1", *given], standalone_mode=False)

    right = run("--onnx", "acme.onnx", "--json", "a.json")
    wrong = run("--onnx", "wrong.onnx", "--check", "forward")
    document = json.loads((project / "a.json").read_text())

    assert document["weights"] == "given"
    assert right.return_value == 0, right.stdout
    assert wrong.return_value == 1
    assert "rerun: parity check mine:pair --onnx wrong.onnx --seed 0 --examples 1 --check forward" in wrong.stdout
    assert "introduced by norm" in wrong.stdout


@pytest.mark.usefixtures("project")
def test_two_files_and_several_pairs():
    both = Pair("acme", onnx={"one": "acme.onnx", "other": "wrong.onnx"}, inputs=arrays(5))
    found = api.check(both, examples=1, checks=["forward"])["forward"].findings[0].diagnosis
    several = CliRunner().invoke(cli.cli, ["check", "mine:pair", "demo", "--onnx", "acme.onnx"], standalone_mode=False)

    assert found.where == ("norm",)
    assert str(several.exception) == "--onnx acme.onnx goes with one PAIR, but there are 2: mine:pair, demo"


def test_locate_places_a_difference_of_files_at_the_node_beside_the_operators(project):
    def run(*given):
        return CliRunner().invoke(cli.cli, ["locate", "mine:pair", *given], standalone_mode=False)

    wrong = run("--onnx", "wrong.onnx", "--operators", "--json", "a.json", "--html", "a.html")
    right = run("--onnx", "acme.onnx", "--operators")
    document = json.loads((project / "a.json").read_text())

    assert wrong.return_value == 1, wrong.stdout
    assert wrong.stdout.splitlines()[-1] == "norm introduces a difference"
    assert "norm: output of the model is different, given the same" in wrong.stdout
    assert "norm: epsilon: torch calls layer_norm (" in wrong.stdout
    assert document["command"] == "parity locate mine:pair --onnx wrong.onnx --seed 0"
    [norm] = [row for row in document["side_by_side"] if "(norm)" in row["onnx"]]
    assert norm["onnx"] == "LayerNormalization(axis=-1, epsilon=2e-05) (norm)"
    assert norm["differs"]
    assert "LayerNormalization(axis=-1, epsilon=2e-05) (norm)" in (project / "a.html").read_text()
    assert right.return_value == 0
    assert right.stdout.splitlines()[-1] == "nothing differs: the outputs"
    assert "✗" not in right.stdout


@pytest.mark.usefixtures("project")
def test_two_files_are_located_too():
    both = Pair("acme", onnx={"one": "acme.onnx", "other": "wrong.onnx"}, inputs=arrays(5))
    place = api.locate(both)

    assert place.where == ("norm",)
    assert not place.holds
    assert "cannot be edited" in place.printed()[-3]
