"""Locating: which layers introduce a difference, one or two at once, forward and backward."""

import tracemalloc
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner

from parity import Pair, ParityError
from parity.canonical.weights import Weights
from parity.checks import runner, vocabulary
from parity.compare.judge import MAX_FLOAT64_ULPS
from parity.diagnose import explain, specimens
from parity.diagnose.locate import gradients, locate
from parity.diagnose.locate.captures import segments
from parity.diagnose.locate.lockstep import Leader, together
from parity.dtypes import EPS
from parity.frontends import cli
from parity.pair.models import PairModels
from parity.reference import pair as reference
from parity.report.layer_tree import last_line

IDS = np.array([[5, 6, 7, 0, 9], [8, 0, 3, 0, 0]])


@pytest.fixture
def planted(broken):
    def plant(name, **alter):
        corners = broken(name, **alter)
        corners.load(Weights(1, 1.0))
        return corners

    return plant


def marks(found):
    return {node.path: node.mark for node in found.nodes}


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_of_a_clean_pair_every_layer_is_clean(twins, scale):
    twins.load(Weights(1, scale))
    found = locate(twins, IDS)

    assert found.introduces == []
    assert set(marks(found).values()) == {"clean"}
    assert {node.path for node in found.nodes} >= {layer.path for layer in twins.models["torch", "float64"].layers}
    assert all(piece.limit >= MAX_FLOAT64_ULPS * EPS["float64"] * piece.gap.scale for piece in found.pieces)


def epsilon(model):
    model.blocks[1].mlp_norm.epsilon = 1e-6


def tanh_gelu(model):
    """In the block's own code, in its own thread only."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Tanh(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            changed = {"approximate": "tanh"} if function is torch.nn.functional.gelu else {}
            return function(*args, **{**(kwargs or {}), **changed})

    forward = model.blocks[0].forward

    def altered(*args):
        with Tanh():
            return forward(*args)

    model.blocks[0].forward = altered


def test_two_faults_at_once_are_both_named(planted):
    """In the block before and in the layer behind, where activations alone name only the first."""
    corners = planted("transformer", torch=tanh_gelu, tensorflow=epsilon)
    found = locate(corners, IDS)

    assert [(piece.path, piece.place) for piece in found.introduces] == [
        ("blocks.0", "input of contract"),
        ("blocks.1.mlp_norm", "output"),
    ]
    told = marks(found)
    assert told["blocks.0.expand"] == told["blocks.0.mlp_norm"] == "clean"
    assert told["blocks.0.contract"] == told["head"] == "inherits"
    assert told["blocks.0"] == told["blocks.1.mlp_norm"] == "introduces"


def test_what_introduces_it_can_be_run_again(planted):
    corners = planted("transformer", tensorflow=epsilon)
    (segment,) = segments(corners, IDS, locate(corners, IDS))

    assert (segment.path, segment.kind, segment.place) == ("blocks.1.mlp_norm", "layer_norm", "output")
    assert segment.settings == ({"epsilon": 1e-5}, {"epsilon": 1e-6})
    assert np.abs(segment.again("tensorflow", settings={"epsilon": 1e-5}) - segment.found[0]).max() <= segment.limit
    assert np.abs(segment.again("torch", weights={"gain": 2 * segment.weights["gain"]}) - segment.found[0]).max() > 1
    np.testing.assert_array_equal(segment.again("torch"), segment.found[0])
    np.testing.assert_array_equal(segment.again("tensorflow"), segment.found[1])


def test_a_gradient_that_does_not_pass_is_blamed_on_its_layer(planted):
    def stopped(model):
        import tensorflow as tf

        call = model.lstm.call
        model.lstm.call = lambda *args, **kwargs: [tf.stop_gradient(made) for made in call(*args, **kwargs)]

    found = locate(planted("lstm", tensorflow=stopped), IDS)

    assert {piece.path for piece in found.introduces} == {"lstm"}
    assert found.introduces[0].place.startswith("gradient of ")
    assert marks(found) == {"": "clean", "embedding": "clean", "lstm": "introduces", "head": "clean"}


def test_gradients_that_cannot_be_compared_cost_nothing_else(references, monkeypatch):
    """Of a layer whose operation has none, and where the run itself ends."""
    corners, pulled = references("conv"), gradients._pulled

    def partly(ours, *given):
        return pulled(ours, *given) if ours.path != "convs.0" else 1 / 0

    corners.load(Weights(1, 1.0))
    clean = marks(locate(corners, IDS))
    monkeypatch.setattr(gradients, "_pulled", partly)
    found = locate(corners, IDS)
    assert (found.introduces, marks(found)) == ([], clean)
    assert found.errors == ("gradients of convs.0 not compared: ZeroDivisionError: division by zero",)
    assert last_line(found).plain.endswith(", end-to-end and isolated, but not all gradients were compared")
    monkeypatch.setattr(gradients.Backward, "after_call", lambda *_: 1 / 0)
    assert locate(corners, IDS).errors == ("gradients not compared: ZeroDivisionError: division by zero",)


def test_a_mask_that_keras_hands_on_is_blamed_on_where_it_comes_from(planted):
    def skipping(model):
        model.embedding.mask_zero = model.embedding.supports_masking = True

    corners = planted("lstm", tensorflow=skipping)
    found, diagnosis = explain.located(corners, IDS)
    diagnosis = explain.by_operation(corners, diagnosis, explain.Sample(corners.loaded, IDS))

    assert {piece.path for piece in found.introduces} == {"lstm"}
    assert ([cause.name for cause in diagnosis.causes], diagnosis.where) == (["mask of the inputs"], ("embedding",))


def test_a_layer_that_one_side_does_not_call_is_told(planted):
    def unused(model):
        advance = model.advance

        def altered(ids, state=None):
            norm, model.norm = model.norm, None
            model._modules["norm"] = lambda x: x
            try:
                return advance(ids, state)
            finally:
                model._modules["norm"] = norm

        model.advance = altered

    found = locate(planted("transformer", torch=unused), IDS)

    assert "torch calls it never, tensorflow once" in {piece.unlike for piece in found.introduces}
    assert {piece.path for piece in found.introduces} == {""}


def test_a_float32_formula_is_unstable_where_it_stands(planted):
    def detour(model):
        forward = model.head.forward
        model.head.forward = lambda x: (forward(x) + 1e5) - 1e5

    found = locate(planted("lstm", torch=detour), IDS)

    assert [(piece.path, piece.word) for piece in found.introduces] == [("head", "unstable")]


def test_an_id_that_the_vocabulary_check_alone_meets_is_located_in_as_many_positions_as_there_are(broken):
    """A row of other weights, in a model that takes 40 ids at once."""

    def alter(model):
        forward = model.embedding.forward
        model.embedding.forward = lambda ids: forward(ids - (ids == 777).to(ids.dtype))

    corners = broken("transformer", torch=alter)
    found = explain.diagnose(corners, runner.run_check(vocabulary, corners, 0, 1, "parity check", shrink=False))

    assert found.where == ("embedding",)
    assert [cause.name for cause in found.causes] == ["weights changed"]


def test_the_models_are_left_as_they_were(twins):
    twins.load(Weights(1, 1.0))
    models = twins.models.values()
    before = [(model.read(), model.logits(IDS), model.eager(IDS, False)) for model in models]
    explain.located(twins, IDS)

    for model, (values, logits, eager) in zip(models, before, strict=True):
        np.testing.assert_array_equal(model.logits(IDS), logits)
        np.testing.assert_array_equal(model.eager(IDS, False), eager)
        for name, array in model.read().items():
            np.testing.assert_array_equal(array, values[name])
        layers = model.module.modules() if hasattr(model.module, "modules") else model.module._flatten_layers()
        assert not [layer for layer in layers if {"forward", "call"} & vars(layer).keys()]


def test_an_error_in_the_leaders_run_is_raised_where_it_is_followed():
    def failing(_):
        raise ZeroDivisionError("in the leader")

    with pytest.raises(ZeroDivisionError), Leader(failing) as leader:
        leader.at("before_call", "")


def test_an_error_in_the_followers_run_ends_the_leaders(small):
    class Falling:
        leader = None

        def before_call(self, *_):
            raise ZeroDivisionError

    corners = PairModels(reference("conv", small))
    first, second = (partial(corners.models[s, "float64"].run_with_hooks, IDS, [""]) for s in ("torch", "tensorflow"))
    with pytest.raises(ZeroDivisionError):
        together(first, second, Falling())
    assert corners.models["torch", "float64"].logits(IDS).shape == (2, 5, 1000)


def deep(layers, width):
    def torch():
        import torch

        torch.manual_seed(0)
        parts = [torch.nn.Embedding(50, width), *(torch.nn.Linear(width, width) for _ in range(layers))]
        return torch.nn.Sequential(*parts, torch.nn.Linear(width, 50))

    def tensorflow():
        import keras

        dense = [keras.layers.Dense(width, name=str(1 + i)) for i in range(layers)]
        parts = [keras.layers.Embedding(50, width, name="0"), *dense, keras.layers.Dense(50, name=str(1 + layers))]
        return keras.Sequential([keras.Input((None,), dtype="int64"), *parts])

    return torch, tensorflow


def test_activations_are_compared_as_they_arrive(small):
    """Six times the layers do not take six times the memory: NumPy's, which is where arrays are kept."""
    tokenizer = type(small)(small.data)
    tokenizer.vocab = 50
    peaks = []
    for layers in (2, 12):
        corners = PairModels(Pair("deep", *deep(layers, 64), tokenizer))
        corners.load(Weights(0, 1.0))
        ids = np.random.default_rng(0).integers(0, 50, (8, 64))
        locate(corners, ids)
        tracemalloc.start()
        assert locate(corners, ids).introduces == []
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    # Of the model as a whole: both sides' in their layers' axes, in canonical ones, and summed over the rows.
    size = 10 * 64 * 64 * 8  # of all gradients
    assert peaks[1] < 2 * peaks[0] + 6 * size


def test_the_command_prints_the_tree_and_the_cause(here, project, valid):
    (project / "port.py").write_text(
        "from dataclasses import replace\nfrom parity.reference import pair\n"
        "from parity.inputs.tokenizer import Tokenizer\nclean = pair('transformer', Tokenizer.load('small.model'))\n"
        "def keras():\n    model = clean.tensorflow()\n    model.norm.epsilon = 1e-3\n    return model\n"
        "port = replace(clean, tensorflow=keras)\n"
    )
    status, out, err = here("locate", "port:port", "--json", "found.json", "--html", "found.html")

    assert status == 1, err
    lines = out.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert any(line.startswith("├ blocks.0 ") and line.endswith(" ok") for line in lines)
    assert any(line.startswith("├ norm ") and line.endswith("source") for line in lines)
    assert "norm: epsilon: torch epsilon 1e-05, tensorflow epsilon 0.001" in lines
    assert lines[-1] == "norm introduces a difference"
    document = valid("located", (project / "found.json").read_text())
    assert document["schema"] == 1
    assert [cause["name"] for cause in document["causes"]] == ["epsilon"]
    assert {layer["path"]: layer["mark"] for layer in document["layers"]}["norm"] == "introduces"
    assert "<h1>norm introduces a difference</h1>" in (project / "found.html").read_text()


def test_a_clean_pair_on_a_text(monkeypatch, references):
    monkeypatch.setattr(cli.locate, "resolve", lambda *_: references("conv").pair)
    given = ["locate", "conv", "--text", "import os", "--quiet"]
    result = CliRunner().invoke(cli.cli, given, standalone_mode=False)

    assert (result.return_value, result.exception) == (0, None)
    assert result.stdout == "nothing differs: 5 matched layers, end-to-end, isolated and backward\n"


@pytest.mark.parametrize("text", ["", "import os " * 40])
def test_a_text_of_nothing_or_of_too_much_is_misuse(text, references):
    with pytest.raises(ParityError, match="ids long, but the models take 1 to 40"):
        specimens.specimen(references("transformer"), 0, text)
