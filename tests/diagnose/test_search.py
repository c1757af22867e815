"""A cause is proved by recomputing: what its values must explain, and which candidate of several is taken."""

from itertools import repeat

import numpy as np
import pytest

from parity.diagnose.search import Candidate, Probe, needed, proved

CLEAN = np.array([1.0, 2.0])


def probes():
    return [Probe(CLEAN + off, CLEAN, 2.0) for off in (0.0, 0.5, 0.25)]


def candidate(values, name="offset", told="adds"):
    return Candidate(name, told, "add nothing", values)


def causes(*candidates):
    return [*proved("loss", "torch", probes(), candidates)]


def test_a_candidate_that_explains_all_evidence_is_proved():
    (cause,) = causes(candidate([probe.found for probe in probes()]))

    assert (cause.where, cause.told, cause.before, cause.after) == ("loss", "torch adds", 0.5, 0.0)


def test_a_candidate_that_explains_all_but_one_piece_is_not():
    assert causes(candidate([CLEAN, CLEAN + 0.5, CLEAN])) == []


def test_the_first_of_a_name_is_taken():
    right = [probe.found for probe in probes()]
    both = causes(candidate([CLEAN] * 3, told="is wrong"), candidate(right), candidate(right, told="also adds"))

    assert [cause.told for cause in both] == ["torch adds"]


def test_one_value_may_stand_for_all_pieces():
    class Same:
        before, limit = 1.0, 0.0

        def apart(self, value):
            return float(value != "right")

    evidence = [Same(), Same()]

    assert [*proved("optimizer", "torch", evidence, [candidate(repeat("right"))])]
    assert not [*proved("optimizer", "torch", evidence, [candidate(repeat("wrong"))])]


def test_values_for_some_pieces_alone_prove_nothing():
    with pytest.raises(ValueError, match="shorter"):
        causes(candidate([CLEAN, CLEAN + 0.5]))


def test_of_changes_those_are_kept_without_which_something_is_left():
    assert needed([1, 2, 3, 4], lambda some: {2, 4} <= {*some}) == [2, 4]
    assert needed(["a", "b"], bool) == ["b"]  # of two that do the same, one
    assert needed([1], lambda _: True) == [1]
