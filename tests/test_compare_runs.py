"""`parity gate --compare`: what was written is read back with one clear line, whatever a file holds."""

import pytest

from parity import cli
from parity.errors import ParityError
from tests import reports


@pytest.fixture
def compared(tmp_path, monkeypatch, capsys):
    """Compare a text with a report that holds: text -> (status, printed), or the one line of its refusal."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.json").write_text(reports.passing().to_json())

    def call(text):
        (tmp_path / "a.json").write_text(text)
        try:
            status = cli.cli.main(["gate", "--compare", "a.json", "b.json"], standalone_mode=False)
        except ParityError as error:
            return None, str(error)
        return status, capsys.readouterr().out

    return call


FILES = {
    "other pairs": (
        '{"pair": "gru", "checks": []}',
        "a.json has gru and b.json has acme-lm; give two runs of the same ",
    ),
    "no report": ('{"holds": true}', "a.json: is neither a report of parity check --json nor a baseline"),
    "no JSON": ("parity", "a.json: is neither a report of parity check --json nor a baseline"),
    "a number": ("3", "a.json: is neither a report of parity check --json nor a baseline"),
    "an edited baseline": ('{"baseline": "a", "schema": 1, "seal": ""}', "a.json: line 1 is not the end of a baseline"),
}


@pytest.mark.parametrize(("text", "told"), FILES.values(), ids=FILES)
def test_what_cannot_be_compared_is_one_line(text, told, compared):
    status, line = compared(text)

    assert status is None
    assert line.startswith(told)
    assert "\n" not in line
