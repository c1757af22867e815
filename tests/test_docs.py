"""The pages in docs/ are true: their Python runs, and their commands print what they show.

Of what is printed, figures may be others on another machine, and equal bits may be rounding; a line
of dots stands for any lines.
"""

import importlib
import re
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from unittest import mock

import pytest
from click.testing import CliRunner

from parity.backends import load
from parity.canonical.kind import KINDS
from parity.checks import CHECKS, runner
from parity.diagnose import explain
from parity.frontends import cli

DOCS = Path(__file__).parent.parent / "docs"
NAMES = {module.__name__.rpartition(".")[2]: module for module in CHECKS}
FIGURE = r"-?\d[\d,.e+-]*"


def blocks(page):
    return re.findall(r"^```(\w+)\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)


class Project:
    """A user's project, in which a page's blocks are carried out one after the other."""

    def __init__(self, monkeypatch, folder):
        self.monkeypatch, self.folder = monkeypatch, folder
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(folder)

    def do(self, language, text):
        getattr(self, language)(text)

    def python(self, text):
        name = re.match(r"# (?:tests/checks/)?([\w/]+)\.py\n", text)[1].replace("/", ".")
        if name.startswith("parity."):
            self._added(name, text)
        else:
            (self.folder / f"{name}.py").write_text(text)
            self._forget(name)
            importlib.import_module(name)

    def _added(self, name, text):
        """A file of parity's own."""
        package, _, last = name.rpartition(".")
        module = ModuleType(name)
        self.monkeypatch.setitem(sys.modules, name, module)
        self.monkeypatch.setattr(importlib.import_module(package), last, module, raising=False)
        exec(text.partition("\n")[2], vars(module))

    def diff(self, text):
        path = self.folder / "acme.py"
        (before,), (after,) = (re.findall(rf"^\{sign}(.*)$", text, re.MULTILINE) for sign in "-+")
        assert path.read_text().count(before) == 1
        path.write_text(path.read_text().replace(before, after))

    def console(self, text):
        command, shown = re.match(r"\$ parity (.*)\n", text)[1], text.partition("\n")[2]
        self._forget("acme")
        result = CliRunner().invoke(cli.cli, shlex.split(command), standalone_mode=False)

        assert result.exception is None
        assert re.fullmatch(pattern(shown), plain(result.stdout)), result.stdout

    def _forget(self, name):
        self.monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()


def plain(text):
    words = re.sub(r"\b(identical|rounding)\b(?= )", "alike", text)
    words = re.sub(rf"\[\[{FIGURE}.*", "[[#, ...", words)
    lines = (re.sub(r" +", " ", re.sub(FIGURE, "#", line)).strip() for line in words.splitlines())
    return "\n".join(lines) + "\n"


def pattern(shown):
    return re.escape(plain(shown)).replace("\\\n", "\n").replace("\\.\\.\\.\n", "(?:.*\n)*")


@pytest.fixture
def project(monkeypatch, tmp_path):
    return Project(monkeypatch, tmp_path)


def test_the_first_pair_is_found_wrong_and_mended(project):
    for block in blocks("first-pair.md"):
        project.do(*block)
    (mark,) = sys.modules["test_acme"].test_parity.pytestmark

    assert "forward" in [parameter.id for parameter in mark.args[1]]


def test_a_converted_checkpoint_is_found_wrong_and_mended(project):
    for block in blocks("converted.md"):
        project.do(*block)


def test_two_models_of_one_framework_are_held_against_each_other(project):
    for block in blocks("two-of-one-framework.md"):
        project.do(*block)


def test_two_optimizers_are_found_to_differ_and_mended(project):
    for block in blocks("optimizers.md"):
        project.do(*block)


def test_the_report_says_what_the_page_explains(project):
    project.do(*blocks("first-pair.md")[0])
    for block in blocks("reading-a-report.md"):
        project.do(*block)


def test_what_the_page_adds_works(project, broken, message_of, references):
    with ExitStack() as stack:
        for kinds in (KINDS, *(load()[framework].layers.KINDS for framework in ("torch", "tensorflow"))):
            stack.enter_context(mock.patch.dict(kinds))
        for block in blocks("adding.md"):
            project.do(*block)
    finite, test = sys.modules["parity.checks.finite"], sys.modules["test_finite"]
    fault = sys.modules["larger"].larger
    corners = fault.inject(references("transformer").pair, references("transformer"))
    outcome = runner.run_check(NAMES[fault.check], corners, 0, 5, "parity check")
    found = explain.diagnose(corners, outcome)

    assert runner.run_check(finite, references("lstm"), 0, 5, "parity check").findings == []
    test.test_the_root_of_what_is_negative_is_caught(broken, message_of)
    assert (found.where, found.causes[0].name) == ((fault.where,), fault.cause)


# How many files each takes; a backend is a folder besides.
COUNTS = {"A check": 2, "A fault": 1, "A layer kind": 3, "An optimizer": 3, "A loss": 3}


@pytest.mark.parametrize(("section", "count"), COUNTS.items(), ids=COUNTS)
def test_what_is_added_touches_few_files(section, count):
    text = (DOCS / "adding.md").read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]

    assert len(re.findall(r"^\| `parity/[\w/]+\.py` \|", text, re.MULTILINE)) == count


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_a_page_names_files_that_there_are(page):
    for name in re.findall(r"`((?:parity|tests|benchmarks|fixtures|examples)/[\w/*.-]+)`", (DOCS / page).read_text()):
        made = {
            "finite.py": "forward.py",
            "test_finite.py": "test_forward.py",
            "FAMILY.py": "layers.py",
        }
        path = DOCS.parent / name.replace("/NAME/", "/torch/")

        path = path.with_name(made.get(path.name, path.name))
        assert path.exists() or [*DOCS.parent.glob(name)], name


def test_the_rooms_are_those_that_there_are():
    table = (DOCS / "internals.md").read_text().partition("## Rooms")[2].partition("Beside the package")[0]
    folders = {path.parent.name for path in (DOCS.parent / "parity").glob("*/__init__.py")}

    assert set(re.findall(r"`parity/(\w+)/`", table)) == folders


def test_what_is_shown_is_compared():
    shown = "a  identical  12  x\n...\nlast 1.5e-03\n"

    assert re.fullmatch(pattern(shown), plain("a rounding 7 x\nb\nc\nlast -2\n"))
    assert not re.fullmatch(pattern(shown), plain("a different 7 x\nb\nlast 2\n"))
    assert not re.fullmatch(pattern(shown), plain("a rounding 7 x\nb\nend 2\n"))


def test_every_page_is_linked_from_the_readme():
    readme = (DOCS.parent / "README.md").read_text()

    assert [page.name for page in DOCS.glob("*.md") if f"(docs/{page.name})" not in readme] == []
