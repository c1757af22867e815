"""What is added to the words of a cause once the search is over."""

from parity.checks.results import Cause, Diagnosis
from parity.diagnose.wording import with_computed


def told(where, computed):
    diagnosis = Diagnosis((where,), (Cause("extra operation", where, "tensorflow does more", "", 1.0, 0.0),))
    return with_computed(diagnosis, computed).causes[0].told


def test_a_cause_in_a_layer_that_computes_a_weight_says_that_it_does():
    more = "; 0.weight is what Sym has computed, and is taken as it is"

    assert told("0", {"0.weight": "Sym", "10.weight": "Other"}) == f"tensorflow does more{more}"
    assert told("1", {"0.weight": "Sym"}) == "tensorflow does more"
    assert told("", {"weight": "Sym"}) == "tensorflow does more"
