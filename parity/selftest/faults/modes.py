"""How a model is called: dropout or training mode left on, a state that is kept, graph and eager that differ."""

from collections.abc import Callable
from typing import Any

from parity.dtypes import Module, State, Tensor
from parity.selftest.faults.fault import Fault
from parity.selftest.faults.inject_layers import around, fault, given, holding, setting, then


def state_kept_in_torch(model: Module) -> None:
    """A batch of the size of the one before goes on from where that one ended."""
    memory: list[Any] = []

    def altered(run: Callable[..., Any], x: Tensor, state: State = None) -> Any:
        if state is None and memory and memory[0].shape[1] == len(x):
            state = memory[0]
        output, after = run(x, state)
        memory[:] = [after.detach()]
        return output, after

    around("gru", altered)(model)


def dropout_on(model: Module) -> None:
    """Dropout of 0.1 in front of the head, whatever the mode."""
    from torch.nn.functional import dropout

    holding("", head=given(lambda x: dropout(x, 0.1)))(model)


def keras_dropout_on(model: Module) -> None:
    """The same in Keras, whose keras.random.dropout knows no mode."""
    import keras

    holding("", head=given(lambda x: keras.random.dropout(x, 0.1)))(model)


def in_training(model: Module) -> None:
    """Dropout of 0.1 in front of torch's head, in training mode alone; the other side has none."""
    from torch.nn.functional import dropout

    holding("", head=given(lambda x: dropout(x, 0.1, model.training)))(model)


def keras_training(model: Module) -> None:
    """The same in Keras."""
    import keras

    dropout = keras.layers.Dropout(0.1)
    around("head", lambda run, x, training=None: run(dropout(x, training=training)))(model)


def other_in_training(model: Module) -> None:
    """Without dropout in training mode, what evaluation mode scales is scaled all the same."""
    holding("", head=given(lambda x: x / 0.9 if model.training else x))(model)


def other_in_a_graph(model: Module) -> None:
    """A billionth more where TensorFlow runs eagerly: code that asks whether it is traced."""
    import tensorflow as tf

    holding("", head=then(lambda z: z * (1 + 1e-9 * tf.executing_eagerly())))(model)


def second_call(model: Module) -> None:
    """A cache that goes by where the ids lie in memory: what it finds there comes back off by a millionth."""
    import torch

    last: list[Any] = []

    def altered(run: Callable[..., Any], ids: Tensor, state: State = None) -> Any:
        output, after = run(ids, state)
        if last and last[0].data_ptr() == ids.data_ptr() and torch.equal(last[1], output):
            return output * (1 + 1e-6), after
        last[:] = [ids, output]  # kept, so that no other ids come to lie there
        return output, after

    around("", altered)(model)


def channels_dropped(model: Module) -> None:
    """Whole channels at a time."""
    from torch import nn

    model.dropout = nn.Dropout2d(0.2)


def dropped_behind_the_mean(model: Module) -> None:
    """What a channel comes to is dropped, and not numbers of it."""
    from torch import cat
    from torch.nn.functional import dropout

    def change(x: Tensor) -> Tensor:
        return cat([dropout(x[:, :5], 0.2, model.training), x[:, 5:]], 1)

    holding("", dropout=lambda _: lambda x: x, head=given(change))(model)


def by_its_own_batch(model: Module) -> None:
    """A norm that is left in training mode."""
    around("block.norm1", lambda run, x, **_: run(x, training=True))(model)


def frozen(model: Module) -> None:
    """Keras takes a norm that is not trained for one in evaluation mode."""
    model.norm.trainable = False


FAULTS: tuple[Fault, ...] = (
    # model.eval() forgotten, a functional dropout without training=, a layer that is called with training=True.
    fault("torch", "lstm", "dropout in evaluation mode, torch", dropout_on, "", "dropout"),
    fault("keras", "transformer", "dropout in evaluation mode, TensorFlow", keras_dropout_on, "", "dropout"),
    # A dropout that the port lost: no run in evaluation mode shows it.
    fault("torch", "gru", "dropout on one side only, torch", in_training, "", "dropout", "calls"),
    fault("keras", "conv", "dropout on one side only, Keras", keras_training, "head", "dropout", "calls"),
    fault("torch", "lstm", "another scale in training mode", other_in_training, "", "scale", "calls"),
    Fault(
        "another scale outside tf.function",
        "gru",
        keras=other_in_a_graph,
        only="tensorflow",
        check="calls",
        where="",
        cause="scale",
    ),
    # stateful=True, or a cache in the model: the first call is right, and most tests make no other.
    fault("torch", "gru", "a recurrence goes on from the batch before", state_kept_in_torch, "gru", "state kept"),
    fault("torch", "conv", "a second call of the same text differs", second_call, "", "state kept", "calls"),
    # 0.1 of what is new in torch is 0.9 of what is old in Keras: https://github.com/gmalivenko/pytorch2keras/issues/70;
    # a probability to keep is given for one to drop: https://github.com/bonlime/keras-deeplab-v3-plus/issues/4
    fault("keras", "image", "torch's momentum in Keras", setting("norm", momentum=0.1), "norm", "momentum", "calls"),
    fault("torch", "image", "another share is dropped", setting("dropout", p=0.25), "dropout", "dropout", "calls"),
    fault("torch", "image", "whole channels are dropped", channels_dropped, "dropout", "dropout", "calls"),
    fault("torch", "image", "dropout behind the mean", dropped_behind_the_mean, "", "dropout", "calls"),
    # trainable=False has Keras's batch normalization use its running statistics in training mode, too, and torch's
    # frozen one does not: https://github.com/pytorch/pytorch/issues/86590
    fault("keras", "image", "a norm in training mode", by_its_own_batch, "block.norm1", "training mode"),
    fault("keras", "image", "a norm that is not trained", frozen, "norm", "gradient stopped", "calls"),
)
