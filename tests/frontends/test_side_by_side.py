"""Pairs, and the checks of one, in several processes: the same report as in one."""

import pytest


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
