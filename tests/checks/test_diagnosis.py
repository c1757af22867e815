"""How causes are told: one that holds of many layers once, those of few or of another value each."""

from parity.checks.results import ASIDE, Cause, Diagnosis


def epsilon(layer, ours="1e-05", before=1.0):
    fix = f"epsilon=1e-05 in BatchNormalization {layer}"
    return Cause("epsilon", layer, f"torch epsilon {ours}, tensorflow epsilon 0.001", fix, before, 1e-16)


def test_a_cause_of_many_layers_is_told_once_with_the_largest_difference():
    causes = tuple(epsilon(f"bn{at}", before=at) for at in range(1, 8))
    (text,) = Diagnosis(causes=causes).texts

    assert text == (
        "bn1 and 6 more layers: epsilon: torch epsilon 1e-05, tensorflow epsilon 0.001\n"
        "  with this corrected, the difference drops from 7.0e+00 to 1.0e-16\n"
        "  fix: epsilon=1e-05 in BatchNormalization bn1; and so for bn2, bn3, bn4, bn5 and 2 more"
    )


def test_causes_of_two_layers_and_of_another_value_are_told_each():
    causes = (epsilon("bn1"), epsilon("bn2", "0.1"), epsilon("bn3"))

    assert Diagnosis(causes=causes).texts == tuple(causes[at].text for at in (0, 2, 1))


def test_figures_that_are_not_the_ones_above_are_said_to_be_others():
    one = Diagnosis(causes=(epsilon("norm", before=2.3e-2),))

    assert (one.aside(5.3e-3), one.aside(2.301e-2)) == (ASIDE, "")
    assert Diagnosis().aside(5.3e-3) == ""
