"""Files of a project whose tests show the plugin, as text."""

USER = """
import mine
import parity


@parity.parametrize(mine.small, seed=7)
def test_small(check):
    check()
"""
PLAIN = """
def test_plain():
    pass
"""
WATCHED = """
import sys


def pytest_collection_finish(session):
    print("loaded:", *sorted({"torch", "tensorflow", "keras"} & set(sys.modules)))
"""
# Four checks that need no models, in place of all; it is noted when the models of a pair are "built".
TOYS = """
import logging
import os
from types import ModuleType, SimpleNamespace

import numpy as np
from hypothesis import strategies

import parity.api
import parity.checks
import parity.pair.models
from parity.pair.constants import Constants
from parity.checks.results import Diagnosis
from parity.compare.judge import judge_exact


def corners(pair, dtypes, low_memory=False):
    with open("builds", "a") as file:
        print(os.environ.get("PYTEST_XDIST_WORKER"), file=file)
    tokenizer = SimpleNamespace(fingerprint="0" * 64, settings={"pieces": 5})
    known = {"backends": {}, "tokenizer": tokenizer, "unproved": (), "unlike": {}, "constants": Constants({}, {})}
    known |= {"carried": None, "unread": ()}
    return SimpleNamespace(pair=pair, **known)


def equal(corners, n):
    return [judge_exact("number", np.array([n]), np.array([n]), ("wanted", "found"))]


def unequal(corners, n):
    return [judge_exact("number", np.array([n]), np.array([n + 1]), ("wanted", "found"))]


def missing(corners, n):
    try:
        {}["a"]
    except KeyError as error:
        raise parity.ParityError("no such file") from error


def model():
    logger = logging.getLogger("torch.__trace")
    logger.setLevel("DEBUG")
    logger.debug("")
    raise ZeroDivisionError("in the model")


def toy(name, verify):
    module = ModuleType(f"parity.checks.{name}", f"The claim of {name}.")
    module.examples, module.verify = lambda corners: strategies.integers(5, 10), verify
    return module


toys = {"holds": equal, "differs": unequal, "misused": missing, "fails": lambda corners, n: model()}
parity.checks.CHECKS = tuple(toy(*entry) for entry in toys.items())
parity.pair.models.PairModels = corners
parity.api.diagnose = lambda corners, outcome: Diagnosis(ruled_out=("whatever else a toy has",))
"""
