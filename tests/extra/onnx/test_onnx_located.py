"""ONNX files: a difference is placed at a node of the graph, and the command line puts a file in a side's place."""

import json
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from onnx import helper
from torch import nn

from parity import Pair, api
from parity.backends import load
from parity.frontends import cli
from parity.strategies import arrays
from tests.extra.onnx.graphs import INPUTS, WIDTH, Net, net_weights, nodes, written

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


class Squared(Net):
    """As `Net`, squared."""

    def forward(self, x):
        return super().forward(x) ** 2


class Twice(Net):
    """The dense layers of `Net`, and shares of what they give, twice."""

    def forward(self, x):
        y = self.head(self.hidden(x).tanh())
        return torch.stack([y, y**2], 1).softmax(-1).flatten(1)


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


def checked(path, source=Net, inputs=INPUTS):
    """The diagnosis of a file beside its source."""
    pair = Pair("acme", torch=source, onnx=path, inputs=inputs)
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


def test_weights_of_another_training_are_the_cause_and_no_exponent_of_the_graph_is_moved(tmp_path):
    """A square root of a sum of squares: an exponent that is moved by rounding would make NaN of negative numbers."""
    power = [helper.make_node("Pow", ["z", "two"], ["y"], "square")]
    body, random = [*nodes(), *power], np.random.default_rng(5)
    body[3].output[0] = "z"
    others = {name: random.standard_normal(array.shape).astype(np.float32) for name, array in net_weights().items()}
    path = written(tmp_path / "acme.onnx", body, {**others, "two": np.float32(2)})
    [cause] = checked(path, source=Squared).causes

    assert cause.name == "weights changed"
    assert cause.told.startswith("onnx has other numbers than torch in hidden.weight, hidden.bias, norm.weight and 3")
    assert cause.after < 1e-9 < cause.before


def test_a_softmax_of_an_old_opset_without_its_axis_is_one_over_several_axes(tmp_path):
    """Up to opset 12 the axis is 1 by default, and all axes from it on are one."""
    body = [*nodes(), helper.make_node("Unsqueeze", ["z"], ["w"], "away", axes=[1])]
    body = [*body, helper.make_node("Mul", ["w", "w"], ["u"], "square")]
    body += [helper.make_node("Concat", ["w", "u"], ["v"], "twice", axis=1)]
    body += [helper.make_node("Softmax", ["v"], ["s"], "soft"), helper.make_node("Flatten", ["s"], ["y"], "flat")]
    body[3].output[0] = "z"
    body[1:3] = [helper.make_node("Tanh", ["a"], ["c"], "tanh")]
    weights = {name: array for name, array in net_weights().items() if not name.startswith("norm")}
    found = checked(written(tmp_path / "acme.onnx", body, weights, (("", 11),)), source=Twice)

    assert found.where == ("soft",)
    assert [cause.name for cause in found.causes] == ["softmax axis"]
    assert "with softmax over axes -2 to -1 at once in its place it makes what onnx does" in found.causes[0].told
    assert found.causes[0].fix.startswith("softmax over axes -2 to -1 at once in torch (")


def test_a_dropout_that_was_exported_is_the_cause_and_nothing_is_proved_beside_it(tmp_path):
    body = [*nodes(), helper.make_node("Dropout", ["z", "share", "yes"], ["y"], "drop")]
    body[3].output[0] = "z"
    weights = net_weights() | {"share": np.float32(0.5), "yes": np.array(True)}
    found = checked(written(tmp_path / "acme.onnx", body, weights))

    assert found.where == ("drop",)
    assert [(cause.name, cause.after) for cause in found.causes] == [("dropout", 0.0)]
    assert found.causes[0].told.endswith(" for the same inputs the second time: Dropout draws at random")


class Normal(nn.Module):
    """A batch normalization by statistics of its own."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(WIDTH)
        with torch.no_grad():
            for tensor, numbers in zip(self.norm.buffers(), ((1, 2, 3, 4, 5), (5, 4, 3, 2, 1)), strict=False):
                tensor.copy_(torch.tensor(numbers))

    def forward(self, x):
        return self.norm(x).tanh()


def test_a_batch_normalization_that_was_exported_in_training_mode_is_the_cause(tmp_path):
    operands = ["x", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"]
    body = [helper.make_node("BatchNormalization", operands, ["a", "m", "v"], "norm", training_mode=1)]
    body += [helper.make_node("Tanh", ["a"], ["y"], "tanh")]
    weights = {name: of.numpy() for name, of in Normal().state_dict().items() if of.ndim}
    found = checked(written(tmp_path / "acme.onnx", body, weights), source=Normal)

    assert found.where == ("norm",)
    assert [cause.name for cause in found.causes] == ["training mode"]
    assert "takes its running mean and variance, onnx those of the batch" in found.causes[0].told


def test_a_lost_bias_and_a_wrong_pad_are_placed_where_they_are(tmp_path):
    weights = net_weights() | {"norm.bias": net_weights()["norm.bias"] + np.float32(0.3)}
    for at, name in ((1, "norm"), (3, "last")):  # the graph goes on with what torch has, too, before it adds
        body = nodes()
        body[at].input[2] = "nothing"
        size = weights["norm.bias" if at == 1 else "head.bias"].shape
        path = written(tmp_path / "acme.onnx", body, {**weights, "nothing": np.zeros(size, np.float32)})
        assert checked(path, source=Biased).where == (name,)

    pads = [helper.make_node("Pad", ["x", "pads"], ["padded"], "pad"), nodes()[0], *nodes()[1:]]
    pads[1].input[0] = "padded"
    path = written(tmp_path / "acme.onnx", pads, net_weights() | {"pads": np.array([0, 1, 0, 0])}, width=4)
    assert checked(path, source=Padded, inputs=arrays(4)).where == ("pad",)


def test_what_makes_one_number_of_all_is_the_place_and_not_what_goes_on_from_it(tmp_path):
    lost = {**net_weights(), "norm.weight": np.zeros(7, np.float32)}
    assert checked(written(tmp_path / "acme.onnx", nodes(), lost)).where == ("norm",)

    body = [*nodes(), helper.make_node("Softmax", ["z"], ["y"], "soft", axis=0)]
    body[3].output[0] = "z"  # of one row, on which the difference is shown, all shares are 1
    assert checked(written(tmp_path / "acme.onnx", body, net_weights()), source=Shares).where == ("soft",)


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
    assert "first in norm" in wrong.stdout


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
