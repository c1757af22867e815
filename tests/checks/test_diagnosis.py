"""How causes are told: one that holds of many layers once, those of few or of another value each."""

from dataclasses import replace

from parity.checks.results import ASIDE, Cause, Diagnosis, DifferingOperation, Finding
from parity.compare.judge import judge
from tests.helpers.reports import square


def epsilon(layer, ours="1e-05", before=1.0):
    fix = f"epsilon=1e-05 in BatchNormalization {layer}"
    return Cause("epsilon", layer, f"torch epsilon {ours}, tensorflow epsilon 0.001", fix, before, 1e-16)


def test_a_cause_of_many_layers_is_told_once_with_the_largest_difference():
    causes = tuple(epsilon(f"bn{at}", before=at) for at in range(1, 8))
    (text,) = Diagnosis(causes=causes).texts

    assert text == (
        "bn1 and 6 more layers: epsilon: torch epsilon 1e-05, tensorflow epsilon 0.001\n"
        "  fix: epsilon=1e-05 in BatchNormalization bn1; and so for bn2, bn3, bn4, bn5 and 2 more; "
        "with this corrected, the difference drops from 7.0e+00 to 1.0e-16"
    )


def test_causes_of_two_layers_and_of_another_value_are_told_each():
    causes = (epsilon("bn1"), epsilon("bn2", "0.1"), epsilon("bn3"))

    assert Diagnosis(causes=causes).texts == tuple(causes[at].text for at in (0, 2, 1))


def test_figures_that_are_not_the_ones_above_are_said_to_be_others():
    one = Diagnosis(causes=(epsilon("norm", before=2.3e-2),))

    assert (one.aside(5.3e-3), one.aside(2.301e-2)) == (ASIDE, "")
    assert Diagnosis().aside(5.3e-3) == ""


LAYERS = tuple(f"bn{at}" for at in range(1, 7))
FIRST = (DifferingOperation("torch", "batch_norm()", "bn1"),)


def finding(diagnosis):
    causes = tuple(f"cause: {text}" for text in diagnosis.texts)
    why = (diagnosis.introduced, *causes, diagnosis.first)
    return Finding(
        "forward", "output: different\n  at length", "Case()", "parity check", 1, why, diagnosis, brief="output"
    )


def test_a_finding_whose_causes_are_all_proved_has_nothing_by_which_to_look_for_one():
    diagnosis = Diagnosis(LAYERS, tuple(map(epsilon, LAYERS)), operations=FIRST)
    told = finding(diagnosis).text().splitlines()

    assert told[0] == "output"
    assert [line.partition(":")[0].strip() for line in told[1:]] == ["cause", "fix", "rerun"]


def test_the_lines_of_code_are_there_unless_a_cause_has_them():
    first = (replace(FIRST[0], file="/home/acme/net.py", line=7, code="self.norm(x)"),)
    cause = epsilon("bn1")
    diagnosis = Diagnosis(("bn1",), (cause,), operations=first)
    named = replace(diagnosis, causes=(replace(cause, told="torch calls batch_norm (net.py:7)"),))

    assert "/home/acme/net.py:7: self.norm(x)" in finding(diagnosis).text()
    assert "first operations" not in finding(named).text()


def test_a_finding_of_which_a_place_is_open_has_all_places_and_the_operations():
    diagnosis = Diagnosis(LAYERS, tuple(map(epsilon, LAYERS)), operations=FIRST, open=("bn6",))
    told = finding(diagnosis).text()

    assert told.startswith(
        "output: different\n  at length\nintroduced by bn1 and bn2 and bn3 and bn4 and bn5 and bn6\n"
    )
    assert "first operations that differ:\n  torch batch_norm() in bn1\nexample: Case()\nrerun: " in told
    assert "introduced by" not in finding(replace(diagnosis, where=LAYERS[:4])).text()  # which the headline has


def test_of_many_places_a_headline_names_the_first():
    assert Diagnosis(LAYERS).place == "; first in bn1, bn2, bn3, bn4 and 2 more places"
    assert Diagnosis(LAYERS[:2]).place == "; first in bn1 and bn2"


def test_what_differs_is_said_in_two_lines_to_whoever_knows_the_cause():
    verdict = judge("logits", square(1e-3))
    place, limit = verdict.brief.splitlines()

    assert place.startswith("logits (12): mismatched elements: 1 / 12; greatest difference at (3,): torch ")
    assert limit.startswith("  rounding error accounts for at most ")
