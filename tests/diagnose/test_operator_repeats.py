"""Operations, or a layer, that one side repeats more often."""

import pytest
import tensorflow as tf
import torch

from tests.helpers.between import found, pair


def balanced(rounds):
    def between(x):
        for _ in range(rounds):
            x = x - torch.logsumexp(x, 2, keepdim=True)
            x = x - torch.logsumexp(x, 3, keepdim=True)
        return x.sin()

    return between


def balanced_last(rounds):
    def between(x):
        for _ in range(rounds):
            x = x - tf.reduce_logsumexp(x, 1, keepdims=True)
            x = x - tf.reduce_logsumexp(x, 2, keepdims=True)
        return tf.sin(x)

    return between


def twice(x):
    for _ in range(2):
        x = tf.tanh(x) + 0.3
    return tf.exp(x)


@pytest.mark.parametrize(
    ("rounds", "theirs", "words"),
    [(5, 3, "5 times, tensorflow 3 times"), (2, 4, "twice, tensorflow 4 times")],
    ids=["fewer", "more"],
)
def test_another_number_of_turns_is_told(rounds, theirs, words):
    _, [cause] = found(pair(balanced(rounds), balanced_last(theirs)))

    assert cause.name == "repeats"
    assert f"torch does these 4 operations {words}: logsumexp(" in cause.told
    assert 0 <= cause.after < 1e-9 * cause.before


def test_a_single_turn_that_the_other_side_repeats_is_told():
    _, [cause] = found(pair(lambda x: (x.tanh() + 0.3).exp(), twice))

    assert cause.name == "repeats"
    assert "torch does these 2 operations once, tensorflow twice: tanh(), add(" in cause.told


def gated(x):
    state, outputs = torch.zeros_like(x[:, :, 0]), []
    for step in range(3):
        state = 0.5 * state + x[:, :, step].tanh()
        outputs.append((x[:, :, step] + 0.7 * state).sigmoid())
    return torch.stack(outputs, 2)


def gated_by_the_old_state(x):
    state, outputs = tf.zeros_like(x[:, 0]), []
    for step in range(3):
        old, state = state, 0.5 * state + tf.tanh(x[:, step])
        outputs.append(tf.sigmoid(x[:, step] + 0.7 * old))
    return tf.stack(outputs, 1)


def test_what_a_turn_takes_of_the_turn_before_is_one_cause_with_the_first_turn():
    _, [cause] = found(pair(gated, gated_by_the_old_state))

    assert cause.name == "operand"
    assert "of the same turn of the loop in torch, and of the turn before in tensorflow" in cause.told


def test_as_many_turns_have_no_cause():
    assert found(pair(balanced(3), balanced_last(3))) == ([], [])


def squares(x):
    one, two = x.tanh(), x.sin()
    return x.cos() / ((1.5 - one.pow(2).mean(1, keepdim=True)) * (1.5 - two.pow(2).mean(1, keepdim=True)))


def squares_of_one(x):
    share = 1.5 - tf.reduce_mean(tf.tanh(x) ** 2, 3, keepdims=True)
    return tf.cos(x) / (share * (1.5 - tf.reduce_mean(tf.tanh(x) ** 2, 3, keepdims=True)))


def test_what_is_done_of_two_things_is_no_loop():
    _, causes = found(pair(squares, squares_of_one))

    assert "repeats" not in {cause.name for cause in causes}


def by_rows_and_columns(x):
    sizes = x.abs().sum(1)
    rows, columns = sizes.sum(2).rsqrt(), sizes.sum(1).rsqrt()
    return (rows[:, :, None] * sizes * columns[:, None, :])[:, None] * x


def by_rows(x):
    sizes = tf.reduce_sum(tf.abs(x), 3)
    return (tf.math.rsqrt(tf.reduce_sum(sizes, 2))[:, :, None] * sizes)[..., None] * x


def test_a_line_that_multiplies_by_two_things_is_no_loop_of_two_turns():
    _, causes = found(pair(by_rows_and_columns, by_rows))

    assert [cause.name for cause in causes] == ["extra operation"]
