"""Pairs, and the checks of one, in several processes: the same report as in one."""

import keras
import pytest
from torch import nn

from parity import Pair, api, strategies
from parity.api import Asked
from parity.dtypes import PRECISIONS
from parity.frontends.cli.spread import Job, Process


def test_side_by_side_they_come_to_the_same_in_the_same_order(here, project):
    """One that cannot be built among them: it is told when its turn comes."""
    pairs = "mine:small", "mine:broken", "mine:off_by_a_millionth"
    command = "check", *pairs, "--examples", "1", "--check", "weights"
    one_by_one = here(*command, "--json", "one.json")
    side_by_side = here(*command, "--json", "two.json", "--jobs", "2")

    assert side_by_side == one_by_one
    assert one_by_one[0] == 2
    assert (project / "one.json").read_bytes() == (project / "two.json").read_bytes()


@pytest.mark.parametrize("options", [(), ("-x",)])
def test_the_checks_of_one_pair_side_by_side_come_to_the_same(here, project, options):
    """Also what is not run behind a failed forward, and why it failed."""
    command = "check", "mine:off_by_a_millionth", "--examples", "1", *options
    command = (*command, *(f"--check={name}" for name in ("forward", "feeds", "loss")))
    one, two = (here(*command, "--jobs", count, "--json", f"{count}.json") for count in ("1", "2"))

    assert [run[::2] for run in (one, two)] == [(1, "")] * 2
    assert sorted(two[1].splitlines()) == sorted(one[1].splitlines())
    assert (project / "1.json").read_bytes() == (project / "2.json").read_bytes()


def test_what_other_processes_exercised_stands_in_the_report():
    ids = strategies.arrays(4, below=97)
    tables = {
        "torch": lambda: nn.Embedding(97, 3),
        "tensorflow": lambda: keras.Sequential([keras.layers.Embedding(97, 3)]),
    }
    pair = Pair("table", **tables, inputs=ids)
    process = Process(Asked(examples=1, checks=("forward",)), PRECISIONS, lambda: {"": pair})
    outcome, tried = process(Job("forward"))
    report = process(Job(outcomes=(outcome,), tried=(tried,), skipped={}))

    assert report.not_exercised == api.check(pair, examples=1, checks=["forward"]).not_exercised
    assert any("of 97 ids were drawn" in line for line in report.not_exercised)
