"""A fault of each family of the models and each check is caught by that check; no benign twin is flagged.

A sample keeps the suite short: causes are tested beside what names them, and `parity selftest` plants every fault and
every twin, and counts the faults that another check catches first.
"""

from collections import Counter

import numpy as np
import pytest

from parity import backends, checks
from parity.backends import process
from parity.checks import runner
from parity.diagnose import CAUSES
from parity.pair.models import PairModels
from parity.selftest.faults import FAMILIES, inject_layers
from parity.selftest.faults.pairs import OWN
from parity.selftest.faults.pairs import pair as named
from parity.selftest.twins import TWINS

MODELS = ("layers", "weights", "layout", "attention", "gradients", "numerics", "modes", "images", "sentences")
FAULTS = [fault for family in MODELS for fault in FAMILIES[family]]
FIRST_OF_A_CHECK = [
    fault for family in MODELS for fault in {fault.check: fault for fault in reversed(FAMILIES[family])}.values()
]
# Texts and feeds touch no model; the last checks train and reload in processes of their own.
APART = ("tokenizer", "feeds", "determinism", "reload", "resume")
NAMES = {module.__name__.rpartition(".")[2]: module for module in checks.CHECKS}
OF_MODELS = {name: module for name, module in NAMES.items() if name not in APART}
EXAMPLES, FEWER = 25, 8


@pytest.fixture
def planted(references):
    """A pair with a difference in it; a side that has none is the clean pair's."""
    return lambda difference: difference.inject(references(difference.pair).pair, references(difference.pair))


def fails(name, corners, examples):
    return bool(runner.run_check(NAMES[name], corners, 0, examples, "parity check", shrink=False).findings)


def name_of(planted):
    return planted.name.replace(" ", "_")


def logits_of(build, values, ids):
    """In a fresh process."""
    model = backends.load()["torch"].Model(build, "float32", 0)
    model.write(values)
    return model.logits(ids)


@pytest.mark.parametrize("fault", FIRST_OF_A_CHECK, ids=name_of)
def test_a_fault_is_caught_by_its_check(fault, planted):
    assert fails(fault.check, planted(fault), EXAMPLES)


@pytest.mark.parametrize("twin", TWINS[::16], ids=name_of)
def test_a_benign_twin_is_not_flagged(twin, planted):
    corners = planted(twin)

    converted = ["conversion"] if corners.carried is not None else []
    assert [name for name in (*converted, "forward", "gradients", "calls") if fails(name, corners, FEWER)] == []


@pytest.mark.parametrize("twin", [twin for twin in TWINS if twin.pair in ("image", "sentence")], ids=name_of)
def test_a_benign_twin_without_a_tokenizer_is_not_flagged(twin, planted):
    corners = planted(twin)

    assert [name for name in ("forward", "loss", "gradients") if fails(name, corners, FEWER)] == []


def test_the_families_are_large_and_every_check_of_models_has_a_fault():
    caught = Counter(fault.check for fault in FAULTS)

    assert len(FAULTS) >= 95
    assert len(TWINS) >= 32
    assert sum(twin.pair == "carried" for twin in TWINS) >= 30
    assert set(OF_MODELS) - set(caught) <= {"loss", "generation", "conversion"}


def test_names_are_unique_and_every_word_is_known():
    assert max(Counter(planted.name for planted in (*FAULTS, *TWINS)).values()) == 1
    assert {fault.check for fault in FAULTS} <= set(NAMES)
    assert {fault.cause for fault in FAULTS} <= set(CAUSES)


@pytest.mark.parametrize("pair", sorted({fault.pair for fault in FAULTS}))
def test_every_place_is_in_both_models(pair, references):
    modules = [references(pair).models[side, "float32"].module for side in ("torch", "tensorflow")]

    for fault in FAULTS:
        if fault.pair == pair and fault.where not in ("files", "optimizer", "call="):
            places = fault.where.split(" and ")
            assert all(inject_layers.at(module, place) is not None for module in modules for place in places)


@pytest.mark.parametrize("pair", sorted({fault.pair for fault in FAULTS} - {*OWN}))
def test_faults_leave_nothing_behind(pair, planted, small):
    """Clean models that are built after faults of every kind were planted are clean."""
    for fault in [fault for fault in FAULTS if fault.pair == pair][::80]:
        planted(fault)
    corners = PairModels(named(pair, small))

    assert [name for name in ("weights", "forward", "gradients") if fails(name, corners, FEWER)] == []


def test_a_fresh_process_builds_what_is_planted(small):
    fault = next(fault for fault in FAULTS if fault.name == "embedding times 2")
    corners = fault.inject(named(fault.pair, small))
    ids = np.array([[5, 6, 7]])

    here = corners.models["torch", "float32"].logits(ids)
    build = corners.pair.builds["torch"]
    np.testing.assert_array_equal(process.fresh(logits_of, build, corners.models["torch", "float32"].read(), ids), here)
