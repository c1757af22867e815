"""A pair's name that is wrong is answered from the text of its module, before a framework is imported."""

import sys

import pytest

from parity import backends
from parity.errors import ParityError
from parity.frontends.targets import resolve

MODULE = """
import parity
from elsewhere import other

eps = parity.Pair("eps", torch=1, tensorflow=2)
right: parity.Pair = parity.Pair("right", torch=1, tensorflow=2)
"""


@pytest.fixture(autouse=True)
def _project(tmp_path, monkeypatch):
    (tmp_path / "acme_inc").mkdir()
    (tmp_path / "acme_inc" / "__init__.py").write_text("")
    (tmp_path / "acme_inc" / "pairs.py").write_text(MODULE)
    (tmp_path / "acme_inc" / "broken.py").write_text("eps = (")
    (tmp_path / "acme_inc" / "moving.py").write_text("globals()['eps'] = 1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.setattr(backends, "load", imported)


def imported(_):
    raise ParityError("the frameworks are imported")


ALL = "did you mean acme_inc.pairs:eps? it also has acme_inc.pairs:right"
LACKING = "cannot be imported (AttributeError: module 'acme_inc.pairs' has no attribute"
NO = "cannot be imported (ModuleNotFoundError: No module named"
ANSWERS = {
    "acme_inc.pairs": f"unknown pair 'acme_inc.pairs'; {ALL}",
    "acme_inc.pairs:": f"acme_inc.pairs:: {LACKING} ''); {ALL}",
    "acme_inc.pairs:eqs": f"acme_inc.pairs:eqs: {LACKING} 'eqs'); {ALL}",
    "acme_inc.pair:eps": f"acme_inc.pair:eps: {NO} 'acme_inc.pair'); did you mean acme_inc.pairs:eps?",
    "acme_ink.pairs:eps": f"acme_ink.pairs:eps: {NO} 'acme_ink'); did you mean acme_inc.pairs:eps?",
    "acme_inc": "unknown pair 'acme_inc'; name a pair in it, acme_inc:ATTRIBUTE",
    "acme_inc.pairs.right": "unknown pair 'acme_inc.pairs.right'; did you mean acme_inc.pairs:right? it also has",
    "acme_inc/pairs.py": f"unknown pair 'acme_inc/pairs.py'; {ALL}",
    "./acme_inc/pairs.py:eps": f"unknown pair './acme_inc/pairs.py:eps'; {ALL}",
    "acme_inc/pears.py": "unknown pair 'acme_inc/pears.py'; available: lstm, gru, transformer, conv, or module:attr",
    "acme_inc.right": "unknown pair 'acme_inc.right'; available: lstm, gru, transformer, conv, or module:attribute",
    "lstn": "unknown pair 'lstn'; did you mean lstm? available: lstm, gru, transformer, conv, or module:attribute",
    "": "unknown pair ''; available: lstm, ",
    "acme_inc.pairs:other": "the frameworks are imported",
    "acme_inc.pairs:right": "the frameworks are imported",
    "acme_inc.moving:eps": "the frameworks are imported",
    "acme_inc.moving:any": "the frameworks are imported",  # who knows
    "acme_inc.broken:eps": "the frameworks are imported",
    "math:pi": "the frameworks are imported",
    "pytest:pair": "the frameworks are imported",  # it is loaded already
}


@pytest.mark.parametrize("target", ANSWERS, ids=lambda target: target or "nothing")
def test_a_wrong_name_is_one_line_with_what_there_is(target, tmp_path):
    with pytest.raises(ParityError) as caught:
        resolve(target, tmp_path)

    assert str(caught.value).startswith(ANSWERS[target])


LOGGING = r"""
import os

import parity

os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n")
os.write(2, b"I0000 00:00:17 port.cc:153] oneDNN custom operations are on.\nwhat the module says\n")
pair = parity.Pair("pair", torch=int, tensorflow=int, inputs=parity.strategies.arrays(3))
"""


def test_of_a_module_that_imports_another_framework_only_its_own_words_are_seen(tmp_path, monkeypatch, capfd):
    (tmp_path / "logging_pairs.py").write_text(LOGGING)
    monkeypatch.setattr(backends, "load", lambda _: None)
    resolve("logging_pairs:pair", tmp_path, ("torch",))

    assert capfd.readouterr().err == "what the module says\n"
