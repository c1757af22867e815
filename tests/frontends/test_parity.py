"""The promises, as a user's own test file states them: one test a check, on the reference pair."""

import pytest

import parity
from parity.checks import CHECKS
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.reference import pair

SMALL = pair("conv", Tokenizer.load(fixture("tokenizer/stdlib-1000.model")))


@parity.parametrize(SMALL, examples=10)
def test_conv(check):
    check()


def test_a_failing_check_raises_its_message():
    """One test a check; the message says what a report would."""
    mark = parity.parametrize(pair("conv", Lossy(SMALL.vocabulary().data)), examples=5)
    tests = {parameter.id: parameter.values[0] for parameter in mark.args[1]}

    assert list(tests) == [module.__name__.rpartition(".")[2] for module in CHECKS]
    with pytest.raises(parity.Mismatch, match=r"decode\(encode\(text\)\): normalized and decoded are different"):
        tests["tokenizer"]()


class Lossy(Tokenizer):
    def decode(self, ids):
        return super().decode(ids).lower()
