"""Known divergences of the frameworks themselves: each still occurs and is shown; if not, it is a finding."""

import io
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from rich.console import Console

from parity import backends
from parity.checks import runner, training
from parity.checks.known_divergences import KNOWN, show
from parity.checks.results import Report
from parity.report import terminal

# Running statistics are shown by calls, of pairs that have some.
HERE = [key for key in KNOWN if key[0] in backends.SIDES]
OPTIMIZERS = {key: KNOWN[key] for key in HERE if key[1] != "running variance"}


@pytest.mark.parametrize(("side", "name"), HERE)
def test_known_divergence_still_occurs(side, name):
    """Strict: when a framework comes round, its entry has to go."""
    backend = backends.load()[side]
    shown = show(side, name, *{**backend.divergences(), **backend.statistics()}[name])

    assert shown.occurs
    assert shown.link.startswith("https://")


def test_every_known_divergence_is_shown(corners):
    assert {(shown.side, shown.name) for shown in training.known(corners)} == set(OPTIMIZERS)


def test_showing_them_leaves_the_random_numbers_alone(corners):
    import torch

    before = torch.get_rng_state()
    first, second = training.known(corners), training.known(corners)

    assert first == second
    assert (before == torch.get_rng_state()).all()


def test_a_divergence_that_no_longer_occurs_is_a_finding(corners):
    """The check of a framework that has come round."""
    mended = {
        side: SimpleNamespace(divergences=lambda b=backend: {n: (a, a) for n, (a, _) in b.divergences().items()})
        for side, backend in corners.backends.items()
    }
    altered = SimpleNamespace(**{**vars(corners), "frameworks": mended, "train": corners.train})
    outcome = runner.run_check(training, altered, 0, 1, "parity check")

    assert (outcome.known, len(outcome.findings)) == ([], len(OPTIMIZERS))
    assert outcome.verdict == "different"
    assert outcome.findings[0].expired == "torch clipping"
    assert outcome.findings[0].message.startswith("torch clipping: known since 2026-11-24, but no longer occurs: ")


def test_known_divergences_are_a_line_in_the_terminal_and_an_entry_each_in_the_json(corners):
    outcome = runner.run_check(training, corners, 0, 1, "parity check")
    report = Report("lstm", 0, 1, {}, {"pieces": 1000, "sha256": ""}, [outcome])
    console = Console(record=True, width=80, file=io.StringIO())
    terminal.show(report, console)
    text = console.export_text()
    (entry,) = json.loads(report.to_json())["checks"]

    assert report.holds
    assert [line for line in text.splitlines() if "known" in line] == [
        "known: 7 divergences of the frameworks themselves, all of which still occur; --json has the cause and link "
        "of each"
    ]
    one = replace(outcome, known=outcome.known[:1])
    lines = [terminal.lines(replace(report, checks=checks)) for checks in ([outcome, one], [one])]
    assert [line for line in lines[0] if "known" in line] == [line for line in text.splitlines() if "known" in line]
    assert (
        "known: 1 divergence of the frameworks themselves, which still occurs; --json has its cause and link"
        in (lines[1])
    )
    for (side, name), (cause, link, date) in OPTIMIZERS.items():
        (known,) = [known for known in entry["known"] if (known["side"], known["name"]) == (side, name)]
        assert (known["cause"], known["link"], known["date"]) == (cause, link, date)
        assert known["defined"] != known["found"]
