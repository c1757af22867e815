"""The examples, each with one line broken as ports break: the right layer is blamed, for the right cause."""

import importlib.util
import sys
from pathlib import Path

import pytest

from parity import api
from parity.checks import forward, runner
from parity.pair.models import PairModels

EXAMPLES = Path(__file__).parent.parent / "examples"
# What is broken -> the example, the line as it stands, the broken one, and what is said of it.
BROKEN = {
    "gate order": (
        "classifier",
        "i, f, g, o = ops.split(",
        "i, g, f, o = ops.split(",
        (
            "introduced by lstm",
            "cause: lstm: gate order: tensorflow reads all its weights with its gates in the order input, cell, "
            "forget, output",
        ),
    ),
    "epsilon": (
        "images",
        "epsilon=1e-5),\n            layers.ReLU(),\n            layers.Permute",
        "epsilon=1e-3),\n            layers.ReLU(),\n            layers.Permute",
        (
            "introduced by norm2",
            "cause: norm2: epsilon: torch epsilon 1e-05, tensorflow epsilon 0.001",
        ),
    ),
    "flatten": (
        "images",
        "            layers.Permute((3, 1, 2)),\n",
        "",
        (
            "introduced by the code between layers",
            "cause: head: flatten order: the input of linear (broken_images.py:23) stands in another order than in "
            "tensorflow: axis 1 of 66 is laid out as 6 x 11, not as 11 x 6; it comes from flatten(start_dim=1) "
            "(broken_images.py:23) in torch and from Relu() (broken_images.py:45) in tensorflow",
        ),
    ),
    "mask": (
        "transformer",
        ", use_causal_mask=True",
        "",
        (
            "introduced by attention",
            "cause: attention: mask missing: torch sees the positions up to its own, tensorflow sees everything",
        ),
    ),
}


def broken(folder, example, line, other):
    """The example's module with one line changed."""
    text = (EXAMPLES / f"test_{example}.py").read_text()
    assert text.count(line) == 1
    path = folder / f"broken_{example}.py"
    path.write_text(text.replace(line, other))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[path.stem])
    return sys.modules[path.stem]


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_line_is_found_and_explained(what, tmp_path):
    *change, told = BROKEN[what]
    corners = PairModels(broken(tmp_path, *change).pair)
    outcome = runner.run_check(forward, corners, 0, 5, "parity check")
    api.explain(corners, [outcome])
    found = outcome.findings[0].why

    assert (found[0], found[1].partition("\n")[0]) == told


def test_where_no_layer_is_to_blame_what_stands_around_the_model_is_named(tmp_path):
    turned = broken(tmp_path, "images", "tf.transpose(images, (0, 2, 3, 1))", "tf.reshape(images, (-1, 12, 10, 3))")
    corners = PairModels(turned.pair)
    outcome = runner.run_check(forward, corners, 0, 5, "parity check")
    api.explain(corners, [outcome])

    where, cause, _, first, *_ = outcome.findings[0].why
    assert where == "introduced by call="
    assert cause.startswith("cause: call=: order: the input of conv2d (broken_images.py:21) stands in another order")
    assert first.startswith("first operations that differ:\n  torch conv2d(")
