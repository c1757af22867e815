"""LiteRT files as sides: three corners, a place in the file where one differs, and what is refused."""

import json
import sys
from functools import partial

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from click.testing import CliRunner

from parity import Pair, ParityError, api
from parity.backends import load
from parity.backends.build import Build
from parity.frontends import cli
from parity.strategies import arrays

load(["tensorflow", "litert"])

import keras  # noqa: E402 behind parity, which settles the order
import tensorflow as tf  # noqa: E402 behind torch, and behind what is skipped without LiteRT

INPUTS = arrays(8, 8, 3)
ADD, SOFTMAX = schema.BuiltinOperator.ADD, schema.BuiltinOperator.SOFTMAX


def build(alpha=0.2):
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(32, 3, padding="same"),
            keras.layers.LeakyReLU(alpha),
            keras.layers.Conv2D(7, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )


def another():
    return build(alpha=0.3)


def unfit():
    x = keras.Input((5,))
    return keras.Model(x, keras.layers.Dense(3)(keras.layers.Lambda(lambda x: tf.math.betainc(x, x, x))(x)))


def converted(path, model, **options):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    for name, value in options.items():
        setattr(converter, name, value)
    path.write_bytes(converter.convert())
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return converted(tmp_path_factory.mktemp("acme") / "acme.tflite", build())


def of(path):
    return load(["litert"])["litert"].Model(Build(path, backend="litert"), "float32", None)


def test_a_file_is_held_against_its_source_in_three_corners(file):
    report = api.check(Pair("acme", tensorflow=build, litert=file, inputs=INPUTS), examples=2)

    assert report.holds, str(report)
    assert [check.name for check in report.checks] == ["forward", "batching", "reload"]
    assert "litert cannot run in float64: a LiteRT file holds float32" in report.weaker
    assert json.loads(report.to_json())["not_run"]["training"] == "litert is not trainable"


def test_kernels_are_sides_and_the_command_line_takes_a_file(file, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from parity import Pair\nfrom tests.extra.litert.test_litert_sides import INPUTS, build\n\n"
        "pair = Pair('acme', tensorflow={'old': build, 'new': build}, inputs=INPUTS)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    given = ["check", "mine:pair", "--litert", f"{file}@reference", "--check", "forward", "--examples", "1"]
    result = CliRunner().invoke(cli.cli, given, standalone_mode=False)
    sys.modules.pop("mine", None)

    assert result.return_value == 0, result.output
    with pytest.raises(ParityError, match=r"unknown 'fast'; available: delegated, builtin, reference"):
        of(f"{file}@fast")


def test_a_difference_is_placed_at_an_operator(file):
    pair = Pair("acme", tensorflow=another, litert=file, inputs=INPUTS)
    [finding] = api.check(pair, examples=1, checks=["forward"])["forward"].findings
    [one] = [of for of in finding.diagnosis.operations if of.side == "litert"]

    assert finding.diagnosis.where == (one.layer,)
    assert one.call.startswith("LEAKY_RELU(alpha=0.2")


def edited(path, file, change):
    """The file with a change to its graph, which is its first."""
    graph = schema.ModelT.InitFromPackedBuf(file.read_bytes(), 0)
    change(graph, graph.subgraphs[0])
    builder = flatbuffers.Builder(0)
    builder.Finish(graph.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def without_bias(graph, of):
    [tensor] = [of.tensors[operator.inputs[2]] for operator in of.operators[:1]]
    graph.buffers[tensor.buffer].data = np.zeros(32 * 4, np.uint8)


def without_activation(_, of):
    operator = of.operators[2]
    assert operator.builtinOptions.fusedActivationFunction == schema.ActivationFunctionType.RELU
    operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE


def biased():
    model = build()
    model.layers[0].bias.assign(np.linspace(-1, 1, 32))
    return model


@pytest.mark.parametrize(("change", "place"), [(without_bias, 0), (without_activation, 2)])
def test_what_an_operator_lacks_is_placed_there_and_not_behind_it(tmp_path, change, place):
    """Its result is a value that the other side has, too, before it goes on."""
    file = converted(tmp_path / "clean.tflite", biased())
    path = edited(tmp_path / "wrong.tflite", file, change)
    pair = Pair("acme", tensorflow=biased, litert=path, inputs=INPUTS)
    [finding] = api.check(pair, examples=1, checks=["forward"])["forward"].findings

    assert finding.diagnosis.where == (of(path)._file.name(of(path)._file.graph.operators[place].outputs[0]),)


def recurrent():
    keras.utils.set_random_seed(3)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((5, 3), batch_size=1), layers.LSTM(6, return_sequences=True), layers.Dense(4)]
    )
    model.layers[-1].bias.assign([-1.0, 0.5, 1.0, 2.0])
    return model


def without_the_last_bias(graph, of):
    [*_, tensor] = [of.tensors[one.inputs[2]] for one in of.operators if len(one.inputs) == 3]
    graph.buffers[tensor.buffer].data = np.zeros(4 * 4, np.uint8)


def test_a_bias_that_the_last_operator_lacks_is_placed_behind_a_loop_too(tmp_path):
    """What the source's loop makes is no constant, though the trace has not all that it takes."""
    file = converted(tmp_path / "clean.tflite", recurrent())
    path = edited(tmp_path / "wrong.tflite", file, without_the_last_bias)
    pair = Pair("acme", tensorflow=recurrent, litert=path, inputs=arrays(5, 3).map(lambda rows: rows[:1]))
    [finding] = api.check(pair, examples=1, checks=["forward"])["forward"].findings

    [one] = [of for of in finding.diagnosis.operations if of.side == "litert"]
    assert one.call.startswith("FULLY_CONNECTED(")
    assert finding.diagnosis.where == (one.layer,)


def residual():
    keras.utils.set_random_seed(3)
    x = keras.Input((None, 3))
    model = keras.Model(x, keras.layers.Softmax()(x + keras.layers.Dense(3)(x)))
    model.layers[1].bias.assign([-1.0, 0.5, 2.0])
    return model


def with_a_bias_of_zero(graph, of):
    [first, _] = [one for one in of.operators if graph.operatorCodes[one.opcodeIndex].builtinCode == ADD]
    graph.buffers[of.tensors[first.inputs[1]].buffer].data = np.zeros(3 * 4, np.uint8)


def test_a_bias_that_is_lacking_before_a_residual_is_placed_where_it_was_added(tmp_path):
    """The sum that takes what lacks it adds something that the inputs reach, and no bias."""
    file = converted(tmp_path / "clean.tflite", residual())
    path = edited(tmp_path / "wrong.tflite", file, with_a_bias_of_zero)
    pair = Pair("acme", tensorflow=residual, litert=path, inputs=arrays(5, 3))
    [finding] = api.check(pair, examples=1, checks=["forward"])["forward"].findings

    [place] = finding.diagnosis.where
    assert place.endswith("/BiasAdd")


def masked():
    """Scores (batch, time, time) of each place and those before it, the others hidden by -inf."""
    keras.utils.set_random_seed(3)
    x = keras.Input((5, 3))
    scores = keras.layers.Dense(5)(x)
    seen = np.tri(5, dtype=bool)
    hidden = keras.layers.Lambda(lambda scores: tf.where(seen, scores, -np.inf))(scores)
    return keras.Model(x, keras.layers.Dense(2)(keras.layers.Softmax()(hidden)))


def with_a_warmer_softmax(graph, of):
    [softmax] = [one for one in of.operators if graph.operatorCodes[one.opcodeIndex].builtinCode == SOFTMAX]
    softmax.builtinOptions.beta = 0.5


def test_a_softmax_behind_a_mask_is_placed_there_though_the_file_has_a_finite_number_for_infinity(tmp_path):
    """The converter writes float32's largest number for an infinity: the mask's result is the same value."""
    file = converted(tmp_path / "clean.tflite", masked())
    path = edited(tmp_path / "wrong.tflite", file, with_a_warmer_softmax)
    pair = Pair("acme", tensorflow=masked, litert=path, inputs=arrays(5, 3))
    [finding] = api.check(pair, examples=1, checks=["forward"])["forward"].findings

    [one] = [of for of in finding.diagnosis.operations if of.side == "litert"]
    assert one.call.startswith("SOFTMAX(beta=0.5")


def test_weights_in_half_precision_are_found(tmp_path):
    options = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    options["target_spec"] = tf.lite.TargetSpec(supported_types=[tf.float16])
    path = converted(tmp_path / "half.tflite", build(), **options)
    pair = Pair("acme", tensorflow=build, litert=path, inputs=INPUTS)
    outcome = api.check(pair, examples=1, checks=["forward"])["forward"]

    assert outcome.verdict == "different"
    diagnosis = outcome.findings[0].diagnosis
    assert "conv2d" in diagnosis.where[0]  # float32 shows it in its last digits alone
    assert [cause.name for cause in diagnosis.causes] == ["weights rounded"]
    assert diagnosis.causes[0].told.endswith(" rounded through float16")


def normed(activation, scale=True):
    """A batch normalization whose factor a converter folds into the kernel before it, but behind an activation."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", activation=activation)(x)
    x = keras.layers.BatchNormalization(scale=scale)(x)
    model = keras.Model(inputs, keras.layers.Conv2D(5, 3)(keras.layers.Activation("relu")(x)))
    random = np.random.default_rng(0)
    for variable in model.variables:
        if len(variable.shape) == 1:
            variable.assign(np.abs(variable.numpy() + 0.2 * random.standard_normal(variable.shape)))
    return model


@pytest.mark.parametrize(("activation", "scale"), [(None, True), ("relu", True), ("relu", False)])
def test_a_batch_normalization_in_half_precision_is_found_where_a_converter_folded_it(tmp_path, activation, scale):
    options = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    options["target_spec"] = tf.lite.TargetSpec(supported_types=[tf.float16])
    build = partial(normed, activation, scale)
    path = converted(tmp_path / "half.tflite", build(), **options)
    pair = Pair("acme", tensorflow=build, litert=path, inputs=INPUTS)
    diagnosis = api.check(pair, examples=1, checks=["forward"])["forward"].findings[0].diagnosis

    assert [cause.name for cause in diagnosis.causes] == ["weights rounded"]


def test_what_is_quantised_or_custom_is_refused_by_name(tmp_path):
    path = converted(tmp_path / "eight.tflite", build(), optimizations=[tf.lite.Optimize.DEFAULT])
    with pytest.raises(ParityError, match=r"of .* \(CONV_2D\) is quantised"):
        of(path)
    path = converted(tmp_path / "mine.tflite", unfit(), allow_custom_ops=True)
    with pytest.raises(ParityError, match="Betainc is a custom operator"):
        of(path)


@pytest.mark.parametrize("cut", [0, 7, 8, 300, -9])
def test_what_is_broken_is_said_in_one_line(file, tmp_path, cut):
    path = tmp_path / "acme.tflite"
    path.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(ParityError, match=r"acme\.tflite: ") as raised:
        of(path).outputs(np.ones((1, 8, 8, 3), np.float32))

    assert "\n" not in str(raised.value)
