"""Whoever closes what a verb prints to, or interrupts it, loses no file and no exit status, and sees no traceback."""

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress

from parity import api, selftest
from parity.checks.results import Failure, status
from parity.errors import ParityError
from parity.frontends import cli
from parity.frontends.cli import console, progress, several
from parity.frontends.cli.rows import Lines, Rows
from parity.pair import link_table
from parity.pair.constants import Constants
from parity.report.document import text
from parity.report.terminal import Printed
from tests.helpers import ports, reports

SHELL = {
    "a closed reader": ("tokenizer inspect small.model | true; exit ${PIPESTATUS[0]}", 0, ""),
    "a full disk": (
        "tokenizer inspect small.model > /dev/full",
        2,
        "parity: standard output: cannot be written (No space left on device)\n",
    ),
    "misuse, and nobody to tell": ("tokenizer inspect no.model >&- 2>&-", 2, ""),
    "a terminal of few characters": (
        "tokenizer inspect \u2603.model",
        2,
        "parity: \\u2603.model: cannot be read (No such file or directory)\n",
    ),
}


@pytest.mark.parametrize(("command", "status", "told"), SHELL.values(), ids=SHELL)
def test_whoever_closes_a_stream(command, status, told, project, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    shell = ["bash", "-c", f"{sys.executable} -m parity {command}"]
    result = subprocess.run(shell, cwd=project, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (status, told)


class Reader(io.StringIO):
    """A reader that is gone at the first word, or who reads on; by a verdict all files have to be there."""

    def __init__(self, *files, gone=True):
        super().__init__()
        self.files, self.gone, self.asked = files, gone, 0

    def write(self, text):
        self.asked += 1
        if self.gone:
            raise BrokenPipeError
        if "FAIL" in text:
            assert all(file.exists() for file in self.files), "the verdict was printed before the files were written"
        return super().write(text)


def surveyed(_):
    return link_table.LinkTable(
        "signal", ("torch", "tensorflow"), [], {"torch": {"head": "Linear"}, "tensorflow": {}}, (), Constants({}, {})
    )


VERBS = {
    "check": (["check", "acme:pair"], "json", "html"),
    "links": (["links", "acme:pair"], "json"),
    "selftest": (["selftest"], "json", "html"),
}


def ran(*given):
    """A run of a pair that fails, told to whoever watches it."""
    report, watch = reports.failing(), given[-1]
    watch.begun(report)
    for outcome in report.checks:
        watch.tick(outcome.name)
        watch.ended(outcome)
        watch.settled(outcome)
    return report


@pytest.mark.parametrize("gone", [True, False], ids=["gone", "there"])
@pytest.mark.parametrize("quiet", [[], ["--quiet"]], ids=["", "quiet"])
@pytest.mark.parametrize(("command", "files"), [(c, f) for c, *f in VERBS.values()], ids=VERBS)
def test_files_are_written_before_the_verdict_is_printed(command, files, quiet, gone, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    for verb in (cli.check, cli.links):
        monkeypatch.setattr(verb, "resolve", lambda *_: ports.signal)
    monkeypatch.setattr(link_table, "survey", surveyed)
    monkeypatch.setattr(api, "run", ran)
    monkeypatch.setattr(selftest, "run", lambda *_: reports.tried())
    places = [tmp_path / f"a.{file}" for file in files]
    options = [f"--{file}=a.{file}" for file in files]
    reader = Reader(*places, gone=gone)
    monkeypatch.setattr(sys, "stdout", reader)
    monkeypatch.setattr(sys, "argv", ["parity", *command, *options, *quiet])
    with pytest.raises(SystemExit) as caught:
        cli.main()

    assert caught.value.code == 1
    assert reader.asked == 1 if gone else reader.asked > 0
    assert all(place.stat().st_size for place in places)


def test_a_file_that_cannot_be_written_costs_no_report(tmp_path, monkeypatch, capsys):
    """The disk is full by then: the report is printed, and the file is told of behind it."""

    def full(path):
        raise console.ParityError(f"{path}: cannot be written (No space left on device)")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(cli.check, "resolve", lambda *_: ports.signal)
    monkeypatch.setattr(api, "run", ran)
    monkeypatch.setattr(console, "replacing", full)
    monkeypatch.setattr(sys, "argv", ["parity", "check", "acme:pair", "--json", "a.json"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    out, err = capsys.readouterr()

    assert (caught.value.code, err) == (2, "parity: a.json: cannot be written (No space left on device)\n")
    assert out.rstrip().endswith("FAIL: 3 of 4 checks failed: forward, weights, loss")


@pytest.mark.parametrize(("columns", "width"), [("20", 80), ("132", 132), ("9999", 1000), ("", 80)])
def test_a_narrow_terminal_folds_lines_and_cuts_no_table(columns, width, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", columns)

    assert console._width() == width


def test_of_several_pairs_none_costs_another(monkeypatch):
    """What there is so far is written behind each; what is raised first is raised behind the last."""
    written, shown = [], []

    def work(target):
        if target == "b":
            raise ZeroDivisionError("in the model")
        if target == "d":
            raise KeyboardInterrupt
        return target.upper()

    def write(runs):
        written.append((list(runs.results), dict(runs.unchecked)))

    runs = several.run(["a", "b", "c"], work, write, shown.append)

    raised = "ZeroDivisionError: in the model"
    assert written == [
        (["A"], {"b": "not run yet", "c": "not run yet"}),
        (["A"], {"b": raised, "c": "not run yet"}),
        (["A", "C"], {"b": raised}),
    ]
    assert shown == runs.results == ["A", "C"]
    with pytest.raises(ZeroDivisionError) as caught:
        runs.settle()
    assert caught.value.__notes__ == [f"b: {raised}"]
    runs.error = ParityError("no such file")
    with pytest.raises(ParityError, match=f"^b: {raised}$"):
        runs.settle()
    with pytest.raises(ZeroDivisionError):
        several.run(["b"], work, write, shown.append)
    with pytest.raises(KeyboardInterrupt):
        several.run(["a", "d", "c"], work, write, shown.append)
    assert written[-1] == (["A"], {"d": "not run yet", "c": "not run yet"})
    monkeypatch.setattr(console, "interrupt", True)  # what it hit may raise something else, or nothing
    with pytest.raises(KeyboardInterrupt):
        several.run(["a"], work, write, shown.append)
    assert len(written) == 4


def test_a_check_that_ctrl_c_ended_has_no_row(monkeypatch):
    """It ends with whatever was raised in the place of the exception that it swallowed."""
    [outcome, *_] = reports.failing().checks
    screen = Console(file=io.StringIO())
    bar = progress.Bar(Progress(console=screen), 0)
    rows = Rows(bar, Printed(screen))
    monkeypatch.setattr(console, "interrupt", True)
    for told in (rows.ended, rows.settled, Lines(bar, "acme", quiet=False).ended):
        with pytest.raises(KeyboardInterrupt):
            told(outcome)

    assert screen.file.getvalue() == ""


def test_an_error_outweighs_a_finding_in_the_exit_status():
    """Behind it stands what is not known."""
    failing, both = reports.failing(), reports.failing()
    both.checks[1].error = Failure.of(ZeroDivisionError("in the model"), "none", "parity check toy")
    asked = [reports.passing()], [reports.passing(), failing], [both, failing], [reports.report([])]

    assert list(map(status, asked)) == [0, 1, 3, 1]


def test_a_value_that_json_does_not_know_costs_no_report():
    found = {"a": np.float32(0.5), "b": np.float64(np.inf), "c": np.int64(3), "d": np.bool_(True), "e": Path("x")}

    assert json.loads(text(found | {"b": np.float32("inf")})) == {"a": 0.5, "b": "inf", "c": 3, "d": True, "e": "x"}


def test_an_interrupt_inside_an_exec_is_status_130_too(tmp_path):
    """CPython remembers it, and `python -m` would end by the signal."""
    pressed = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    (tmp_path / "late.py").write_text(
        f"from parity.frontends import cli\ncli.cli.main = lambda **_: exec({pressed!r})\ncli.main()\n"
    )

    assert subprocess.run([sys.executable, "-m", "late"], cwd=tmp_path, check=False).returncode == 130
