"""How inputs become arguments, by the signature of what takes them."""

import pytest

from parity.backends.nesting import spread


def two(image, text):
    return image, text


def one(batch):
    return batch


def keras_call(inputs, training=None, mask=None):
    return inputs, training, mask


def free(**inputs):
    return inputs


def second_may_be_left_out(image, text=None):
    return image, text


PAIR, NAMED = (1, 2), {"image": 1, "text": 2}


@pytest.mark.parametrize(
    ("function", "inputs", "others", "expected"),
    [
        (two, PAIR, (), (PAIR, {})),
        (two, NAMED, (), ((), NAMED)),
        (free, NAMED, (), ((), NAMED)),
        (one, PAIR, (), ((PAIR,), {})),
        (one, NAMED, (), ((NAMED,), {})),
        (one, {"batch": 1}, (), ((), {"batch": 1})),
        (one, 1, (), ((1,), {})),
        (keras_call, PAIR, ("training", "mask"), ((PAIR,), {})),
        (second_may_be_left_out, PAIR, (), (PAIR, {})),
        (two, (1, 2, 3), (), ((1, 2, 3), {})),  # nothing fits: the call itself will say so
        (max, PAIR, (), (PAIR, {})),  # of which Python knows no signature
    ],
)
def test_inputs_come_as_the_function_takes_them(function, inputs, others, expected):
    assert spread(inputs, function, others) == expected
