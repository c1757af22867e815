"""The framework calls of a check, replayed by a program that imports no part of parity: `benchmarks.overhead` runs it.

    python benchmarks/bare.py CALLS ROOT

CALLS is a pickle of our own run: what builds the models, and lists of (framework, dtype, verb, arguments) by pass. A
model's files are read as they are, without the package around them. An optimizer's step is the plainest there is,
w -= rate * gradient, whatever the recipe was: a floor. It prints what each pass took of the processor, as JSON.
"""

import importlib
import json
import pickle
import sys
import time
import types
from pathlib import Path

import numpy as np


class Torch:
    """A torch model in one precision."""

    def __init__(self, build, dtype, pad):
        import torch

        self.torch, self.pad = torch, pad
        before = torch.get_default_dtype()
        torch.set_default_dtype(getattr(torch, dtype))
        self.model = build().eval()
        torch.set_default_dtype(before)
        self.dtype = getattr(torch, dtype)
        self.variables = [variable for variable in self.model.parameters() if variable.requires_grad]

    def tensor(self, array):
        tensor = self.torch.from_numpy(array)
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor

    def forward(self, inputs, eager=False, training=False):  # noqa: ARG002 one caller serves both frameworks, and Keras runs eagerly or in a graph
        self.model.train(training)
        with self.torch.no_grad():
            self.model(self.tensor(inputs)).numpy()
        self.model.eval()

    def _loss(self, inputs, targets):
        output, f = self.model(self.tensor(inputs)), self.torch.nn.functional
        if self.pad is None:
            return f.mse_loss(output, self.tensor(targets[0]))
        return f.cross_entropy(output.flatten(0, 1), self.tensor(targets).flatten(), ignore_index=self.pad)

    def loss(self, inputs, targets, *_):
        with self.torch.no_grad():
            self._loss(inputs, targets).numpy()

    def gradients(self, inputs, targets):
        return self.torch.autograd.grad(self._loss(inputs, targets), self.variables)

    def step(self, batches):
        for inputs, targets in batches:
            with self.torch.no_grad():
                for variable, gradient in zip(self.variables, self.gradients_of(inputs, targets), strict=True):
                    variable -= 1e-6 * gradient

    def gradients_of(self, inputs, targets):
        with self.torch.enable_grad():
            return self.gradients(inputs, targets)


class Keras:
    """A Keras model in one precision; one graph for each verb."""

    def __init__(self, build, dtype, pad):
        import keras
        import tensorflow as tf

        self.tf, self.pad, self.dtype = tf, pad, dtype
        self._set(keras, dtype)
        self.model = build()
        ids = tf.TensorSpec((None, None), tf.int64)
        self.graph = tf.function(self._call, input_signature=None if pad is None else [ids])
        self.loss_graph = tf.function(self._loss, input_signature=None if pad is None else [ids, ids])
        self.gradient_graph = tf.function(self._gradients, input_signature=None if pad is None else [ids, ids])
        self.keras = keras

    @staticmethod
    def _set(keras, dtype):
        keras.config.set_floatx(dtype)
        keras.config.set_dtype_policy(dtype)

    def tensor(self, array):
        tensor = self.tf.constant(array)
        return self.tf.cast(tensor, self.dtype) if tensor.dtype.is_floating else tensor

    def _call(self, inputs):
        return self.model(inputs, training=False)

    def _loss(self, inputs, targets):
        output = self._call(inputs)
        if self.pad is None:
            return self.tf.reduce_mean(self.tf.math.squared_difference(output, targets))
        lost = self.keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=self.pad)
        return lost(targets, output)

    def _gradients(self, inputs, targets):
        with self.tf.GradientTape() as tape:
            loss = self._loss(inputs, targets)
        found = tape.gradient(loss, [variable.value for variable in self.model.trainable_variables])
        return [self.tf.convert_to_tensor(gradient) for gradient in found if gradient is not None]

    def forward(self, inputs, eager=False, training=False):
        self._set(self.keras, self.dtype)
        given = self.tensor(inputs)
        (self.model(given, training=training) if eager or training else self.graph(given)).numpy()

    def loss(self, inputs, targets, *_):
        self._set(self.keras, self.dtype)
        self.loss_graph(self.tensor(inputs), self._targets(targets)).numpy()

    def gradients(self, inputs, targets):
        self._set(self.keras, self.dtype)
        return self.gradient_graph(self.tensor(inputs), self._targets(targets))

    def step(self, batches):
        for inputs, targets in batches:
            found = self.gradients(inputs, targets)
            for variable, gradient in zip(self.model.trainable_variables, found, strict=False):
                variable.value.assign_sub(1e-6 * gradient, read_value=False)

    def _targets(self, targets):
        return self.tensor(targets[0] if self.pad is None else targets)


def tiny_torch():
    """A classifier (11) -> (3)."""
    from torch import nn

    return nn.Sequential(nn.Linear(11, 32), nn.ReLU(), nn.Linear(32, 3))


def tiny_tensorflow():
    """Its twin."""
    import keras

    model = keras.Sequential([keras.layers.Dense(32, activation="relu"), keras.layers.Dense(3)])
    model.build((None, 11))
    return model


def builders(name, vocab, root):
    """Framework -> what builds the model of this name."""
    if name == "tiny":
        return {"torch": tiny_torch, "tensorflow": tiny_tensorflow}
    for package in ("parity", "parity.reference", f"parity.reference.{name}"):  # without what their __init__ imports
        module = sys.modules[package] = types.ModuleType(package)
        module.__path__ = [str(Path(root, *package.split(".")))]
    config = importlib.import_module(f"parity.reference.{name}.config").Config(vocab)
    return {
        framework: lambda framework=framework: importlib.import_module(
            f"parity.reference.{name}.{framework}"
        ).LanguageModel(config)
        for framework in ("torch", "tensorflow")
    }


def main():
    given = pickle.loads(Path(sys.argv[1]).read_bytes())
    import torch

    torch.set_num_threads(1)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    builds, models, took = builders(given["name"], given["vocab"], sys.argv[2]), {}, {}
    for name, calls in given["passes"].items():
        begun = 0.0 if not took else time.process_time()
        for framework, dtype, verb, args in calls:
            if (framework, dtype) not in models:
                kind = Torch if framework == "torch" else Keras
                models[framework, dtype] = kind(builds[framework], dtype, given["pad"])
                models[framework, dtype].forward(np.array(given["sample"]))
            getattr(models[framework, dtype], verb)(*args)
        took[name] = time.process_time() - begun
    print(json.dumps(took))


if __name__ == "__main__":
    main()
