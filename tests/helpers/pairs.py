"""What a user's module of pairs may hold, good and bad; tests copy it into a project as mine.py."""

from dataclasses import replace

from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.reference import pair as reference

small = reference("lstm", Tokenizer.load(fixture("tokenizer/stdlib-1000.model")))


def nudged():
    import numpy as np

    model = small.tensorflow()
    raw = model.head.kernel.value
    assign = raw.assign

    def off(value, **named):
        if isinstance(value, np.ndarray):  # the float64 model follows the float32 one
            value = value.copy()
            value[5, 3] += 1e-6
        return assign(value, **named)

    raw.assign = off
    return model


def failing():
    raise ZeroDivisionError("in the builder")


def leaving():
    raise SystemExit(0)


def late():
    # A model that fails on longer inputs, in the middle of a check.
    model = small.torch()
    advance = model.advance

    def picky(ids, state=None):
        if ids.shape[1] > 2:
            raise ZeroDivisionError("in the model")
        return advance(ids, state)

    model.advance = picky
    return model


def tuples():
    model = small.torch()
    model.forward = model.advance
    return model


def narrow():
    from parity.reference.lstm.config import Config
    from parity.reference.lstm.torch import LanguageModel

    return LanguageModel(Config(vocab=999))


off_by_a_millionth = replace(small, name="off", tensorflow=nudged)
broken = replace(small, torch=failing)
exits = replace(small, torch=leaving)
late_error = replace(small, torch=late)
tuple_output = replace(small, torch=tuples)
small_vocabulary = replace(small, torch=narrow)
anonymous = replace(small, torch=lambda: small.torch())
wrong_tokenizer = replace(small, tokenizer=3)
no_tokenizer = replace(small, tokenizer="missing.model")
other = 42
