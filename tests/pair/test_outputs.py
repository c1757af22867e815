"""outputs.judge_outputs: nested outputs of any container, structure before dtype before shape before values."""

import dataclasses
from collections import OrderedDict, namedtuple

import numpy as np
import pytest

from parity.errors import ParityError
from parity.pair.outputs import judge_outputs

LOGITS = np.arange(6.0).reshape(2, 3)
STATE = np.array([1, 2])
Named = namedtuple("Named", "logits state")


@dataclasses.dataclass
class Data:
    logits: object
    state: object


CONTAINERS = {
    "dict": lambda logits, state: {"state": state, "logits": logits},
    "named tuple": Named,
    "dataclass": Data,
    "ordered dict": lambda logits, state: OrderedDict(logits=logits, state=state),
}


def runs(make, **change):
    """All four runs; `change` maps "float64" to what its second side returns instead."""
    whole = {}
    for dtype in ("float32", "float64"):
        output = make(LOGITS.astype(dtype), (STATE, [LOGITS.astype(dtype)]))
        whole[dtype] = (output, change.get(dtype, output))
    return whole


@pytest.mark.parametrize("second", CONTAINERS.values(), ids=CONTAINERS)
@pytest.mark.parametrize("first", CONTAINERS.values(), ids=CONTAINERS)
def test_containers_with_the_same_names_are_the_same_structure(first, second):
    whole = {dtype: (pair[0], runs(second)[dtype][1]) for dtype, pair in runs(first).items()}
    verdicts = judge_outputs("encoder", **whole)

    assert {verdict.subject: (verdict.word, verdict.elements) for verdict in verdicts} == {
        "encoder['logits']": ("identical", 6),
        "encoder['state'][0]": ("identical", 2),
        "encoder['state'][1][0]": ("identical", 6),
    }


def test_a_lone_array_bears_the_subjects_name():
    assert [v.subject for v in judge_outputs("logits", **runs(lambda logits, _: logits))] == ["logits"]


def test_tensors_of_both_frameworks_in_every_precision():
    from parity import backends

    backends.load()
    import tensorflow as tf
    import torch

    def both(dtype):
        return (
            (torch.tensor(LOGITS, dtype=getattr(torch, dtype), requires_grad=True), torch.tensor(STATE)),
            [tf.constant(LOGITS, dtype), tf.constant(STATE)],
        )

    verdicts = judge_outputs("out", **{d: both(d) for d in ("float64", "float32", "bfloat16", "float16")})

    assert [verdict.word for verdict in verdicts] == ["identical", "identical"]
    assert [row.dtype for row in verdicts[0].rows] == ["float64", "float32", "bfloat16", "float16"]


def test_structure_comes_first():
    verdicts = judge_outputs("out", **runs(Named, float64={"logits": LOGITS.astype("float32")[:1]}))

    assert [verdict.word for verdict in verdicts] == ["different"]
    assert verdicts[0].message == (
        "out: structures differ: out['state'][0] is in torch32, tensorflow32, torch64, but not in tensorflow64"
    )


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (LOGITS.astype("float32")[:1], "out[0]: tensorflow64 is float32, but should be float64"),
        (LOGITS[:1], "out[0]: shapes differ: torch32 (2, 3), tensorflow32 (2, 3), torch64 (2, 3), tensorflow64 (1, 3)"),
        (np.where(LOGITS == 4, np.nan, LOGITS), "out[0] (2, 3): torch and tensorflow are different"),
        (LOGITS + 1e-9, "out[0] (2, 3): torch and tensorflow are different"),
    ],
    ids=["dtype", "shape", "finiteness", "values"],
)
def test_every_array_is_judged_by_itself(logits, message):
    verdicts = judge_outputs("out", **runs(lambda *both: both, float64=(logits, (STATE, [LOGITS]))))

    assert [verdict.word for verdict in verdicts] == ["different", "identical", "identical"]
    assert verdicts[0].message.partition("\n")[0] == message


def test_nothing_in_the_structure_proves_nothing():
    verdicts = judge_outputs("out", float32=((), ()), float64=((), ()))

    assert [(v.word, v.message) for v in verdicts] == [("different", "out: holds no array; that proves nothing")]


def test_a_side_without_float64_is_judged_by_three_corners():
    low = LOGITS.astype("float32")
    (verdict,) = judge_outputs("out", float32=(low, low), float64=(LOGITS, None))

    assert (verdict.word, verdict.weaker) == ("identical", "tensorflow has no float64 run")


@pytest.mark.parametrize(
    "given",
    [{}, {"float32": (LOGITS, LOGITS)}, {"float32": (LOGITS, None), "float64": (LOGITS, LOGITS)}],
    ids=["nothing", "no float64", "one float32"],
)
def test_runs_that_cannot_be_judged_are_an_error(given):
    with pytest.raises(ParityError, match="out: give float32 of both sides, and float64 of one at the least"):
        judge_outputs("out", **given)


def test_what_is_no_number_is_an_error():
    text = {"name": "encoder"}

    with pytest.raises(ParityError, match=r"out\['name'\] is a str, but should be an array of numbers"):
        judge_outputs("out", float32=(text, text), float64=(text, text))
