"""ONNX files as sides: the fourth corner, what is asked of them, and what is refused and how that is said."""

import json
import os

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from parity import Pair, ParityError, api
from parity.backends import load
from parity.backends.build import Build
from parity.pair.models import PairModels
from tests.extra.onnx.graphs import INPUTS, Net, model, net_weights, nodes, written

load(["torch", "onnx"])

from parity.backends.onnx.double import Double  # noqa: E402 behind what loads it


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return written(tmp_path_factory.mktemp("acme") / "acme.onnx", nodes(), net_weights())


def of(path, dtype="float32", sample=None):
    sample = np.ones((2, 5), np.float32) if sample is None else sample
    return load(["onnx"])["onnx"].Model(Build(path, sample=sample, backend="onnx"), dtype, None)


def test_a_file_is_held_against_its_source_in_four_corners(file):
    report = api.check(Pair("acme", torch=Net, onnx=file, inputs=INPUTS), examples=3)
    document = json.loads(report.to_json())

    assert report.holds, str(report)
    assert [check.name for check in report.checks] == ["forward", "batching", "reload"]
    assert not report.weaker
    assert document["weights"] == "given"
    assert report["forward"].max_abs_diff < 1e-14
    assert document["not_run"]["training"] == "onnx is not trainable"


def test_an_epsilon_that_float32_hardly_shows_is_found(tmp_path):
    path = written(tmp_path / "acme.onnx", nodes(epsilon=2e-5), net_weights())

    assert api.check(Pair("acme", torch=Net, onnx=path, inputs=INPUTS), examples=2)["forward"].verdict == "different"


def test_each_optimisation_is_a_side(file):
    pair = Pair("acme", onnx={"plain": f"{file}@none", "optimised": f"{file}@all"}, inputs=INPUTS)
    report = api.check(pair, examples=2)

    assert report.holds, str(report)
    assert pair.sides == ("plain", "optimised")
    assert of(f"{file}@none").anew(file).way == "none"
    with pytest.raises(ParityError, match=r"unknown 'most'; available: none, basic, extended, all"):
        of(f"{file}@most")


def test_what_the_reference_leaves_out_gives_three_corners_and_is_named(tmp_path):
    weights = {"W": np.full((1, 4, 5), 0.3, np.float32), "R": np.full((1, 4, 4), 0.2, np.float32)}
    body = [
        helper.make_node("Unsqueeze", ["x", "axis"], ["t"], "time"),
        helper.make_node("RNN", ["t", "W", "R"], ["h"], "cell", hidden_size=4, clip=0.5),
        helper.make_node("Reshape", ["h", "shape"], ["y"], "flat"),
    ]
    weights |= {"axis": np.array([0]), "shape": np.array([-1, 4])}
    path = written(tmp_path / "acme.onnx", body, weights)

    assert np.isfinite(of(path).outputs(np.ones((2, 5), np.float32))[""]).all()
    with pytest.raises(ParityError, match=r"^onnx\.reference does not compute what ONNX Runtime does in cell \(RNN\)$"):
        of(path, "float64")


def test_what_the_reference_leaves_out_of_a_state_is_seen_in_more_steps_than_one(tmp_path):
    random = np.random.default_rng(0)
    weights = {name: random.standard_normal((1, 16, n)).astype(np.float32) for name, n in (("W", 1), ("R", 4))}
    weights |= {"axis": np.array([2]), "shape": np.array([-1, 4])}
    body = [
        helper.make_node("Transpose", ["x"], ["turned"], "turn"),
        helper.make_node("Unsqueeze", ["turned", "axis"], ["t"], "steps"),
        helper.make_node("LSTM", ["t", "W", "R"], ["h"], "cell", hidden_size=4, input_forget=1),
        helper.make_node("Reshape", ["h", "shape"], ["y"], "flat"),
    ]
    path = written(tmp_path / "acme.onnx", body, weights, width="time")
    build = Build(path, sample=np.ones((1, 1), np.float32), backend="onnx")

    with pytest.raises(ParityError, match=r"does not compute what ONNX Runtime does in cell \(LSTM\)$"):
        load(["onnx"])["onnx"].Model(build, "float64", 0)


def test_constants_are_what_their_author_wrote(tmp_path):
    body = [
        helper.make_node("Mul", ["x", "tenth"], ["a"]),
        helper.make_node("Div", ["a", "root"], ["b"]),
        helper.make_node("Selu", ["b"], ["y"]),
    ]
    path = written(tmp_path / "acme.onnx", body, {"tenth": np.float32(0.1), "root": np.float32(np.sqrt(12))})
    x = np.linspace(-3, 3, 10, dtype=np.float32).reshape(2, 5)
    scaled = x.astype(np.float64) * 0.1 / np.sqrt(12)
    wanted = 1.0507009873554805 * np.where(scaled > 0, scaled, 1.6732632423543772 * np.expm1(scaled))

    assert np.abs(of(path, "float64").outputs(x)[""] - wanted).max() < 1e-15


def test_a_batch_of_one_is_run_a_row_at_a_time(tmp_path):
    body = [
        helper.make_node("Reshape", ["x", "shape"], ["a"]),
        helper.make_node("MatMul", ["a", "kernel"], ["y"]),
    ]
    kernel = np.arange(15, dtype=np.float32).reshape(5, 3)
    path = written(tmp_path / "acme.onnx", body, {"shape": np.array([1, 5]), "kernel": kernel}, rows=1)
    x = np.arange(20, dtype=np.float32).reshape(4, 5)

    assert np.array_equal(of(path).outputs(x)[""], x @ kernel)
    assert np.array_equal(of(path, "float64").outputs(x)[""], x.astype(float) @ kernel)


def test_weights_are_read_and_written_in_both_precisions(file):
    for dtype in ("float32", "float64"):
        one = of(file, dtype)
        before, x = one.outputs(np.ones((2, 5), np.float32))[""], np.ones((2, 5), np.float32)
        one.write({name: 2 * array for name, array in one.read().items() if name.startswith("head")})

        assert np.allclose(one.outputs(x)[""], 2 * before)
        assert {str(array.dtype) for array in one.read().values()} == {dtype}


@pytest.mark.parametrize(
    "settings",
    [
        {"pads": [1, 0, 2, 1], "group": 2},
        {"strides": [2, 3], "dilations": [2, 1]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "group": 2},
        {"auto_pad": "VALID"},
    ],
    ids=str,
)
def test_a_convolution_in_double_is_that_of_the_standard(settings):
    random, groups = np.random.default_rng(0), settings.get("group", 1)
    arrays = {"x": (2, 4, 7, 6), "w": (6, 4 // groups, 3, 2), "b": (6,)}
    given = {name: random.standard_normal(shape) for name, shape in arrays.items()}
    node = helper.make_node("Conv", [*given], ["y"], **settings)
    taken = [helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None) for name in given]
    graph = helper.make_graph([node], "g", taken, [helper.make_tensor_value_info("y", onnx.TensorProto.DOUBLE, None)])
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])

    [wanted], [made] = (of(whole).run(None, given) for of in (ReferenceEvaluator, Double))
    assert made.shape == wanted.shape
    assert np.abs(made - wanted).max() < 1e-13


def test_sizes_are_no_parameters(tmp_path):
    body = [helper.make_node("Resize", ["x", "", "scales"], ["y"], "up", mode="nearest")]
    path = written(tmp_path / "acme.onnx", body, {"scales": np.array([1, 2], np.float32)})

    assert of(path, "float64").read() == {}


def outside(tmp_path, location, **more):
    """A file whose weight stands elsewhere."""
    made = model([helper.make_node("MatMul", ["x", "kernel"], ["y"])], {"kernel": np.ones((5, 3), np.float32)})
    [tensor] = made.graph.initializer
    data = numpy_helper.to_array(tensor).tobytes()
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    folder = tmp_path / "acme"
    folder.mkdir()
    for place in (folder / "beside.bin", tmp_path / "above.bin"):
        place.write_bytes(data)
    (folder / "link.bin").symlink_to(tmp_path / "above.bin")
    os.mkfifo(folder / "pipe.bin")
    (folder / "acme.onnx").write_bytes(made.SerializeToString())
    return folder / "acme.onnx"


def test_tensors_beside_the_file_are_read(tmp_path):
    path = outside(tmp_path, "beside.bin")

    assert np.array_equal(of(path).outputs(np.ones((1, 5), np.float32))[""], np.full((1, 3), 5, np.float32))


@pytest.mark.parametrize(
    ("location", "more", "told"),
    [
        ("../above.bin", {}, "which is not beside the file"),
        ("/etc/passwd", {}, "which is not beside the file"),
        ("link.bin", {}, "which is not beside the file"),
        ("", {}, "which is not beside the file"),
        ("none.bin", {}, "cannot be read"),
        ("pipe.bin", {}, "is not a regular file"),
        ("beside.bin", {"offset": 8}, "has a tensor that cannot be read"),
        ("beside.bin", {"length": 2**40}, "ends behind its file"),
        ("beside.bin", {"offset": -1}, "cannot be found"),
        ("beside.bin", {"offset": "x"}, "cannot be found"),
    ],
)
def test_tensors_elsewhere_are_refused_in_one_line(tmp_path, location, more, told):
    with pytest.raises(ParityError, match=told) as raised:
        of(outside(tmp_path, location, **more))

    assert "\n" not in str(raised.value)


CUSTOM = [helper.make_node("Gelu", ["x"], ["y"], "mine", domain="com.acme")]
QUANTISED = [
    helper.make_node("QuantizeLinear", ["x", "scale"], ["q"], "quantise"),
    helper.make_node("DequantizeLinear", ["q", "scale"], ["y"]),
]


@pytest.mark.parametrize(
    ("body", "opsets", "told"),
    [
        (CUSTOM, (("", 20), ("com.acme", 1)), r"mine \(Gelu\) is a custom operator, of the domain 'com.acme'"),
        (QUANTISED, (("", 20),), r"quantise \(QuantizeLinear\) is quantised"),
        ([helper.make_node("Gelu", ["z"], ["y"])], (("", 20),), "ONNX Runtime cannot load it"),
        ([helper.make_node("Nothing", ["x"], ["y"])], (("", 20),), "ONNX Runtime cannot load it"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(tmp_path, body, opsets, told):
    path = written(tmp_path / "acme.onnx", body, {"scale": np.float32(0.1)}, opsets=opsets)

    with pytest.raises(ParityError, match=told):
        of(path)


@pytest.mark.parametrize("data", [b"", b"no graph", b"\x08\x0a" * 999])
def test_what_is_no_onnx_file_is_said_in_one_line(tmp_path, data):
    path = tmp_path / "acme.onnx"
    path.write_bytes(data)

    with pytest.raises(ParityError, match="is no ONNX file"):
        of(path)


def test_inputs_that_the_file_does_not_take_are_refused(file):
    with pytest.raises(ParityError, match="takes x, but was given 0, 1: adapt it by call="):
        of(file).outputs((np.ones((2, 5), np.float32),) * 2)
    with pytest.raises(ParityError, match="takes x as float32, but was given int64"):
        of(file).outputs(np.ones((2, 5), np.int64))
    with pytest.raises(ParityError, match="acme"):
        PairModels(Pair("acme", torch=Net, onnx=file.with_name("none.onnx"), inputs=INPUTS))
