"""How many processes the tests run in."""

import os

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than processors, for `-n auto`: workers wait for the processes that their tests start."""
    return len(os.sched_getaffinity(0)) + 1
