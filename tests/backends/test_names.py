"""What the layers of a Keras model are called: as their user named them, else by the attribute that holds them."""

import pytest

from parity import backends

backends.load()  # the order of the imports

import keras  # noqa: E402 behind parity, which settles the order

from parity.backends.keras import modules  # noqa: E402 as above

DENSE = keras.layers.Dense


class Block(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.head, self.named = DENSE(2), DENSE(2, name="first")
        self.blocks = [DENSE(2), DENSE(2)]
        self.of = {"query": DENSE(2)}
        self._hidden = DENSE(2)


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.body = Block()


def names(module):
    return [name for name, _ in modules.children(module)]


def test_a_layer_without_a_name_is_called_by_the_attribute_that_holds_it():
    block = Block()

    assert names(block)[:5] == ["head", "first", "blocks.0", "blocks.1", "of.query"]
    assert names(block)[5] == block._hidden.name
    assert names(Net()) == ["body"]


@pytest.mark.parametrize("layer", [DENSE(2), keras.layers.LSTM(2)], ids=["dense", "cell"])
def test_what_keras_holds_is_called_as_keras_names_it(layer):
    wrapped = keras.layers.TimeDistributed(layer)
    model = keras.Sequential([keras.Input((3, 2)), layer])

    assert names(wrapped) == [layer.name]
    assert names(model) == [layer.name]
