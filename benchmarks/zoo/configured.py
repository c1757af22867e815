"""Keras models that are made with arguments and come back from a file with these."""

import inspect

import keras


class Configured(keras.Model):
    """A model whose configuration has what its constructor was given, from attributes of the same names.

    A configuration that is left to Keras has the constructor's defaults, because `Model.__new__` does not hand its
    arguments on to where they are noted down: https://github.com/keras-team/keras/blob/v3.15.1/keras/src/models/model.py#L150
    """

    def get_config(self):
        _, *names = inspect.signature(type(self).__init__).parameters  # the first is the model itself
        return {**super().get_config(), **{name: getattr(self, name) for name in names if name != "kwargs"}}
