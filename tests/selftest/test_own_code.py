"""Faults in lines of code have the cause that they are planted with, proved by an edit of what torch ran."""

import pytest

from parity.diagnose import operators
from parity.diagnose.operators import search
from parity.diagnose.specimens import elsewhere
from parity.pair.models import PairModels
from parity.selftest.faults import images, own_code
from parity.selftest.faults.pairs import OWN

FAULTS = {fault.name: fault for fault in own_code.FAULTS}
WORDS = {
    "padding at the other end": ("pad=[0, 2, 0, 1]", "tensorflow 1 before and 0 behind, 2 before and 0 behind"),
    "the edge doubled for reflected": ("mode=reflect", "a reflection with the edge doubled"),
    "another bound": ("min=-0.5", "min=-0.25, max=0.25"),
    "waves that begin at one": ("arange(start=1", "one lower"),
    "the inverse of a permutation": ("the result of __getitem__", "along axis 1"),
    "another epsilon three times": ("other=1e-05", "so in 3 places"),
    "the share and its rest exchanged": ("0.1 of torch's mul(other=0.1) and 0.9 of mul(other=0.9)", "so in 12 places"),
    "summed from the end": ("torch turns round what cumsum(dim=1) takes", "tensorflow sums from the start"),
    "places from zero to one": ("torch does mul(other=2) ... sub(other=1)", "and tensorflow does not"),
    "another number of heads of one's own": ("unflatten", "sizes=[3, -1]"),
}
OTHERWISE = {
    "another bound": "argument"
}  # the layer's outputs alone say "clipped", which a whole diagnosis tells first


@pytest.fixture(scope="module")
def clean():
    return {name: PairModels(OWN[name]) for name in ("picture", "series")}


@pytest.mark.parametrize(("name", "words"), WORDS.items(), ids=WORDS)
def test_an_edit_is_the_cause(name, words, clean, monkeypatch):
    monkeypatch.setattr(search, "WORK", 1500)
    fault = FAULTS[name]
    corners = fault.inject(OWN[fault.pair], clean[fault.pair])
    causes = operators.causes(operators.Examples(corners, elsewhere(corners)[:2]))

    assert OTHERWISE.get(name, fault.cause) in {cause.name for cause in causes}
    assert all(any(word in cause.told for cause in causes) for word in words), causes


def test_an_input_that_is_taken_for_another_is_named():
    fault = next(fault for fault in images.FAULTS if fault.name == "the target for an input")
    corners = fault.inject(OWN[fault.pair])
    [cause] = operators.causes(operators.Examples(corners, elsewhere(corners)[:2]))

    assert "is input['target'] in torch, and input['place'] in tensorflow" in cause.told


def test_the_same_by_other_operations_has_no_cause(clean):
    twin = next(twin for twin in own_code.TWINS if twin.name == "heads by einsum")
    corners = twin.inject(OWN[twin.pair], clean[twin.pair])
    [given, *_] = examples = elsewhere(corners)[:2]

    assert operators.operations(operators.Examples(corners, [given])) == []
    assert operators.causes(operators.Examples(corners, examples)) == []
