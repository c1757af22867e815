"""A user's own test file has one test a check; what passes is in examples/."""

import pytest

import parity
from parity.checks import CHECKS, name_of
from parity.inputs.tokenizer import Tokenizer
from parity.reference import pair


def test_a_failing_check_raises_its_message(small):
    """One test a check; the message says what a report would."""
    mark = parity.parametrize(pair("conv", Lossy(small.data)), examples=5)
    tests = {parameter.id: parameter.values[0] for parameter in mark.args[1]}

    first = ("conversion", "forward")
    names = [name_of(module) for module in CHECKS]
    assert list(tests) == [*first, *(name for name in names if name not in first)]
    with pytest.raises(parity.Mismatch, match=r"decode\(encode\(text\)\): normalized and decoded are different"):
        tests["tokenizer"]()


class Lossy(Tokenizer):
    def decode(self, ids):
        return super().decode(ids).lower()
