"""What a log without a terminal shows of long work."""

import io
import re

import pytest

from parity import checks
from parity.checks import forward, weights
from parity.frontends.cli import gate
from parity.frontends.cli.console import Screen
from parity.frontends.cli.progress import LINES, progress
from parity.frontends.config import Config
from tests.helpers import ports


@pytest.mark.parametrize(
    ("terminal", "counted", "lines"), [(False, True, LINES), (False, False, 0), (True, True, None)]
)
def test_a_log_has_a_line_at_each_tenth_and_a_terminal_a_bar(terminal, counted, lines):
    console = Screen(file=io.StringIO(), force_terminal=terminal, width=80)
    with progress(console, 10 * LINES, counted) as tick:
        for _ in range(10 * LINES):
            tick("layers")
    printed = console.file.getvalue()

    if lines is None:
        assert " of " not in printed
    else:
        assert printed.splitlines() == [f"{10 * (place + 1)} of {10 * LINES}: layers" for place in range(lines)]


@pytest.mark.parametrize("quiet", [True, False])
def test_a_log_has_a_line_as_each_check_ends(quiet, capsys, tmp_path):
    subject = gate._Subject("acme:signal", ports.signal, tmp_path / "none", None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "CHECKS", (weights, forward))
        gate._measure(subject, Config(), {"seed": 0, "examples": 1}, quiet)
    printed = [re.sub("[0-9.]+ s$", "N s", line) for line in capsys.readouterr().err.splitlines()]

    lines = ["acme:signal: forward: rounding, N s", "acme:signal: weights: identical, N s"]
    assert sorted(printed) == ([] if quiet else lines)
