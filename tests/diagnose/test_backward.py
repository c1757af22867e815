"""Where gradients part though all values agree: the operation and its line, on the side that has it."""

from functools import partial
from pathlib import Path

import pytest
import tensorflow as tf
import torch
from click.testing import CliRunner

from parity import Pair
from parity.checks import gradients, runner
from parity.diagnose.explain import diagnose
from parity.diagnose.operators import pulls
from parity.diagnose.wording import why
from parity.frontends import cli
from parity.inputs.batch import Batch
from tests.helpers.between import IMAGES, Keras, Torch, given, pair


class Straight(torch.autograd.Function):
    """tanh, whose gradient passes as it is."""

    @staticmethod
    def forward(_, x):
        return torch.tanh(x)

    @staticmethod
    def backward(_, gradient):
        return gradient


class Turned(torch.autograd.Function):
    """The value itself, whose gradient is turned round and made smaller."""

    @staticmethod
    def forward(_, x):
        return x.view_as(x)

    @staticmethod
    def backward(_, gradient):
        return -0.25 * gradient


class Cut(torch.autograd.Function):
    """The value itself, whose gradient is cut off, or scaled down to a norm."""

    @staticmethod
    def forward(context, x, bound, norm):
        context.bound, context.norm = bound, norm
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient):
        gradient = gradient.clamp(-context.bound, context.bound) if context.bound else gradient
        return gradient * (context.norm / gradient.norm()).clamp(max=1.0) if context.norm else gradient, None, None


cut = Cut.apply  # bound before any run is recorded


def cut_off(x):
    return x + torch.tanh(cut(x, 2e-3, None))


def cut_elsewhere(x):
    return x + tf.tanh(cut_there(x))


def scaled_down(x):
    return x + torch.tanh(cut(x, None, 1e-5))


@tf.custom_gradient
def cut_there(x):
    return tf.identity(x), lambda gradient: tf.clip_by_value(gradient, -4e-3, 4e-3)


@tf.custom_gradient
def down_there(x):
    return tf.identity(x), lambda gradient: tf.clip_by_norm(gradient, 1e-5)


def scaled_down_there(x):
    return x + tf.tanh(down_there(x))


@tf.custom_gradient
def straight(x):
    return tf.tanh(x), lambda gradient: gradient


def in_torch(x):
    return x + torch.tanh(x)


def in_tensorflow(x):
    return x + tf.tanh(x)


def detached(x):
    return x + torch.tanh(x.detach())


def without_gradient(x):
    with torch.no_grad():
        added = torch.tanh(x)
    return x + added


def by_function(x):
    return x + Straight.apply(x)


def turned(x):
    return x + torch.tanh(Turned.apply(x))


def stopped(x):
    return x + tf.tanh(tf.stop_gradient(x))


def by_decorator(x):
    return x + straight(x)


def halved(x):
    return 0.5 * in_tensorflow(x) + tf.stop_gradient(0.5 * in_tensorflow(x))


FAULTS = {  # side, operation, what stands in its line, the cause
    detached: ("torch", "detach()", "torch.tanh(x.detach())", "gradient stopped"),
    without_gradient: ("torch", "tanh()", "added = torch.tanh(x)", "gradient stopped"),
    by_function: ("torch", "tanh()", "return torch.tanh(x)", "activation"),
    turned: ("torch", "view_as()", "return x.view_as(x)", "gradient scaled"),
    stopped: ("tensorflow", "StopGradient()", "tf.stop_gradient(x)", "gradient stopped"),
    cut_off: ("torch", "view_as()", "return x.view_as(x)", "clipped"),
    scaled_down: ("torch", "view_as()", "return x.view_as(x)", "clipped"),
    scaled_down_there: ("tensorflow", "IdentityN()", "tf.tanh(down_there(x))", "clipped"),
    by_decorator: ("tensorflow", "IdentityN()", "straight(x)", "straight through"),
    halved: ("tensorflow", "Mul(x=0.5)", "return 0.5 * in_tensorflow(x) + tf.stop_gradient(", "gradient scaled"),
}


own = Pair("own", partial(Torch, in_torch), partial(Keras, stopped), inputs=IMAGES)


def parted(corners):
    targets = corners.given(0)[1]
    examples = [
        pulls.Example(corners, of, Batch(inputs, targets, None))
        for of, inputs in (given(corners, 1.0)[0], given(corners, 3.0)[0])
    ]
    return list(pulls.operations(corners, examples[0].pulled(()))), pulls.causes(examples)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_the_first_operation_whose_gradient_differs_is_told_with_its_line(fault):
    side, operation, code, name = FAULTS[fault]
    found, causes = parted(pair(fault, in_tensorflow) if side == "torch" else pair(in_torch, fault))
    [own] = [one for one in found if one.side == side]

    assert own.call == f"gradient through {operation}"
    assert code in own.code
    assert own.file == __file__
    assert [cause.name for cause in causes] == [name] * bool(name)
    assert all(f"({Path(__file__).name}:{own.line})" in cause.told for cause in causes)
    assert all(0 < cause.after < 1e-9 * cause.before for cause in causes)  # measured: there is rounding in it


def partly_without_gradient(x):
    with torch.no_grad():
        share = torch.tanh(x) / (1.5 + x.square().mean((2, 3), keepdim=True))
    return x + share.sin()


def partly_there(x):
    return x + tf.sin(tf.tanh(x) / (1.5 + tf.reduce_mean(tf.square(x), (1, 2), keepdims=True)))


def test_all_that_no_grad_surrounds_is_one_cause_at_its_last_line():
    _, [cause] = parted(pair(partly_without_gradient, partly_there))

    assert cause.name == "gradient stopped"
    assert "torch computes div() (test_backward.py:" in cause.told
    assert "(no_grad)" in cause.told


def counted(x):
    with torch.no_grad():
        share = torch.tanh(x)
        share.mul_(x)
    return x + share.sin()


@pytest.mark.parametrize(("ours", "detached"), [(without_gradient, ["tanh"]), (by_function, [])])
def test_what_a_function_with_a_gradient_of_its_own_does_is_not_inside_of_no_grad(ours, detached):
    corners = pair(ours, in_tensorflow)
    batch = Batch(given(corners, 1.0)[0][1], corners.given(0)[1], None)
    operations = pulls.Example(corners, given(corners, 1.0)[0][0], batch).pulled(()).traces[0].operations

    assert [one.name for one in operations if one.detached] == detached


def test_what_is_written_inside_of_no_grad_is_not_tried_with_a_gradient():
    places, _ = parted(pair(counted, lambda x: x + tf.sin(tf.tanh(x) * x)))

    assert places


def test_gradients_that_are_cut_off_at_two_numbers_are_told_with_both():
    _, [cause] = parted(pair(cut_off, cut_elsewhere))
    assert "is cut off at 0.002; tensorflow's is cut off at 0.004" in cause.told


def test_equal_gradients_part_nowhere_however_they_are_computed():
    assert parted(pair(lambda x: in_torch(2 * x), lambda x: in_tensorflow(x + x))) == ([], [])


def test_a_finding_of_gradients_has_the_line():
    corners = pair(detached, in_tensorflow)
    outcome = runner.run_check(gradients, corners, 0, 1, "parity check")
    text = "\n".join(why(corners, diagnose(corners, outcome)))

    assert "gradient through detach()" in text
    assert "return x + torch.tanh(x.detach())" in text


def test_locate_shows_it_too():
    result = CliRunner().invoke(cli.cli, ["locate", f"{__name__}:own"], standalone_mode=False)

    assert "tensorflow gradient through StopGradient()" in result.stdout
    assert "return x + tf.tanh(tf.stop_gradient(x))" in result.stdout
