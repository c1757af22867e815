"""What a model may do and give besides arrays of an array: derivatives, loops, caches, rows of unequal lengths."""

import re
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest

from parity import ParityError, backends, strategies
from parity.backends.hooks import Watched
from parity.canonical.weights import Weights
from parity.compare.judge import judge
from parity.diagnose.locate import locate
from parity.inputs.batch import Batch
from parity.pair.models import PairModels
from parity.pair.pair import Pair

X = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)


def torch_net():
    from torch import nn

    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def torch_relu():
    from torch import nn

    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def keras_net():
    import keras

    return keras.Sequential([keras.layers.Dense(4, "tanh"), keras.layers.Dense(2)])


def pair_of(torch_call, keras_call, build=torch_net):
    calls = {"torch": torch_call, "tensorflow": keras_call}
    return Pair("net", build, keras_net, inputs=strategies.arrays(3), call=calls)


def verdicts(corners):
    corners.load(Weights(0, 1.0))
    return {name: judge(name, square).word for name, square in corners.outputs(Batch(X, None, None)).items()}


def torch_slope(model, x, training):  # noqa: ARG001 it has no dropout
    import torch

    x = x.clone().requires_grad_()
    return torch.autograd.grad(model(x).square().sum(), x, create_graph=True)[0]  # (batch, 3)


def keras_slope(model, x, training, power=2):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(model(x, training=training) ** power)
    return tape.gradient(total, x)


def test_a_call_may_take_derivatives_and_is_located_with_them():
    equal = PairModels(pair_of(torch_slope, keras_slope))
    assert verdicts(equal) == {"output": "rounding"}
    gradients = equal.gradients(*equal.given(0))
    assert {judge(name, square, 1.0).fails for name, square in gradients.items()} == {False}
    assert not locate(equal, X).introduces

    other = PairModels(pair_of(torch_slope, partial(keras_slope, power=3)))
    assert verdicts(other) == {"output": "different"}
    assert not locate(other, X).introduces  # it stands in call=
    relu = PairModels(pair_of(torch_slope, keras_slope, torch_relu))
    relu.load(Weights(0, 1.0))
    assert {piece.path for piece in locate(relu, X).introduces} == {""}  # the code between its layers


def test_a_derivative_that_cannot_be_trained_is_told_in_one_line():
    corners = PairModels(pair_of(lambda *given: torch_slope(*given).detach(), keras_slope))

    with pytest.raises(ParityError, match=r"^the loss of torch has no gradient: call= or the model detaches it"):
        corners.gradients(*corners.given(0))


def test_what_has_to_know_its_shapes_is_traced_for_each_and_all_else_once(caplog):
    import tensorflow as tf

    backends.load()
    from parity.backends.tensorflow.running import Running

    traced = []

    def plain(x):
        traced.append(x.shape)
        return tf.reduce_sum(x, 1)

    def looped(x):
        return sum(x[:, place] for place in range(x.shape[1]))

    plain, looped = Running(plain), Running(looped)
    for width in range(2, 7):
        x = tf.ones((3, width))
        assert looped(x).numpy().tolist() == plain(x).numpy().tolist() == [width] * 3
    assert len(traced) == 2
    for rows in (3, 1, 4):
        plain(tf.ones((rows, 2)))
    alone = Running(plain._function, alone=True)
    alone(tf.ones((3, 2)))
    assert [shape.as_list() for shape in traced] == [[None, 2], [None, None], [3, 2]]
    assert not caplog.records  # TensorFlow warns of what is traced again and again
    with pytest.raises(TypeError, match="type string"):
        Running(lambda x: x + "a")(tf.ones(1))


def test_what_branches_on_a_value_is_traced_once_for_all_shapes_and_all_else_is_not_rewritten():
    import tensorflow as tf

    backends.load()
    from parity.backends.tensorflow.running import Running

    traced, status = [], tf.__internal__.autograph.control_status_ctx

    def branches(x):
        traced.append(x.shape)
        if tf.reduce_sum(x) > 0:
            x = 2 * x
        return x

    def straight(x):
        traced.append(status().status.name)
        return x

    branches, straight = Running(branches), Running(straight)
    for width in range(1, 6):
        assert branches(tf.ones((2, width))).numpy().sum() == 4 * width
        assert branches(-tf.ones((2, width))).numpy().sum() == -2 * width
    assert [shape.as_list() for shape in traced] == [[None, 1], [None, 1], [None, None]]
    traced.clear()
    straight(tf.ones(2))
    assert traced == ["DISABLED"]


def test_a_graph_knows_the_lines_of_its_operations_where_one_fails():
    import tensorflow as tf

    backends.load()
    from parity.backends.tensorflow.running import Running

    def chosen(x, place):
        return tf.gather(x, place)

    running = Running(chosen)
    running(tf.ones(3), tf.constant(2))
    graph = running._any[0].get_concrete_function(tf.ones(3), tf.constant(2)).graph
    assert {operation.traceback for operation in graph.get_operations()} == {None}
    with pytest.raises(tf.errors.InvalidArgumentError, match=r'test_model_forms\.py", line \d+, in chosen'):
        running(tf.ones(3), tf.constant(7))


def with_more(model, x, training):  # noqa: ARG001
    logits = model(x)
    return {"logits": logits, "best": logits.argmax(-1), "cache": object(), "note": "text", "count": 3, "none": None}


def keras_more(model, x, training):
    import tensorflow as tf

    logits = model(x, training=training)
    cache = (tf.stack([logits, logits]),)  # whose first axis is not the batch
    return {"logits": logits, "best": tf.argmax(logits, -1), "note": "another", "cache": cache}


def test_integers_and_what_is_no_tensor_stay_out_of_the_loss():
    """And tensors that the other side has in an object."""
    corners = PairModels(pair_of(with_more, keras_more))

    assert verdicts(corners) == {"output['best']": "identical", "output['logits']": "rounding"}
    assert corners.exercised.missing({}) == (
        "what torch gives that is no tensor, or lacks a counterpart: output['cache'] (object), "
        "output['count'] (int), output['note'] (str)",
        "what tensorflow gives that is no tensor, or lacks a counterpart: output['cache'][0] (EagerTensor), "
        "output['note'] (str)",
    )
    gradients = corners.gradients(*corners.given(0))
    assert {judge(name, square).fails for name, square in gradients.items()} == {False}


def test_outputs_in_other_places_are_refused_with_what_to_do():
    told = (
        "torch returns {'best': (1,), 'logits': (1, 2)}, tensorflow returns (1, 2): "
        'select the output to compare with call={"torch": function, "tensorflow": function}'
    )
    pair = pair_of(with_more, lambda model, x, training: model(x, training=training))

    with pytest.raises(ParityError, match=re.escape(told).replace(r"\(1,", r"\(\d+,")):
        PairModels(pair)


class Heard:
    """Remembers what a layer is given, and exchanges it for twice as much."""

    def before_call(self, _, inputs):
        self.inputs = inputs
        return [2 * array for array in inputs]

    def after_call(self, call):
        self.outputs = call.outputs


def unequal(form):
    import torch

    rows = torch.arange(1.0, 7).reshape(2, 3, 1)
    if form == "packed":
        return torch.nn.utils.rnn.pack_padded_sequence(rows, [1, 3], True, enforce_sorted=False)
    return torch.nested.nested_tensor([rows[0, :1], rows[1]], layout=getattr(torch, form))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage")
@pytest.mark.parametrize("form", ["packed", "strided", "jagged"])
def test_rows_of_unequal_lengths_are_seen_padded_and_exchanged_in_their_own_form(form):
    backends.load()
    from parity.backends.torch import hooks

    heard = Heard()
    layer = Watched(hooks, "layer", None, lambda x: x, (), heard, [], nullcontext)
    found = layer(unequal(form))

    assert heard.inputs[0].tolist() == [[[1], [None], [None]], [[4], [5], [6]]]
    assert type(found) is type(unequal(form))
    assert heard.outputs[0].tolist() == [[[2], [None], [None]], [[8], [10], [12]]]
    assert hooks.padded(found)[0].tolist() == heard.outputs[0].data.tolist()
