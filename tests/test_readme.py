"""The README and the page on how to use parity are true: their files exist, their examples run."""

import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

from parity.checks import CHECKS, forward
from parity.checks.runner import run_check
from parity.frontends.config import KEYS, load
from parity.inputs.specimens import fixture
from parity.pair.models import PairModels
from tests.helpers import forks, ports

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README, USAGE = (ROOT / "README.md").read_text(), (DOCS / "usage.md").read_text()


def test_it_is_short():
    assert len(README.split()) <= 1000


def test_the_table_has_every_check():
    table = README.partition("## What it checks")[2].partition("\n\nA check")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")][2:]

    assert [name.strip() for row in rows for name in row.split(",")] == [
        module.__name__.rpartition(".")[2] for module in CHECKS
    ]


def test_the_example_is_the_one_that_the_pages_run():
    """tests/test_docs.py runs both pages: the pair's, and the report's."""
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (shown,) = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    report = (DOCS / "reading-a-report.md").read_text()

    assert f"```python\n{example}```" in (DOCS / "first-pair.md").read_text()
    assert all(part in report for part in re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE))


def test_the_commands_are_those_of_ci():
    assert "python -m pip install tox && tox" in README
    assert "python -m pip install tox && tox" in (ROOT / ".ci" / "run").read_text()
    assert 'python -m pip install ".[cpu]" -c constraints.txt && parity check' in README


def test_the_example_runs(monkeypatch, tmp_path, lstm):
    """Its test function passes the cheapest check on twins that stand in for the user's."""
    models = ModuleType("acme.models")
    models.build_torch, models.build_keras = lstm.torch, lstm.tensorflow
    monkeypatch.setitem(sys.modules, "acme", ModuleType("acme"))
    monkeypatch.setitem(sys.modules, "acme.models", models)
    (tmp_path / "acme.model").write_bytes(fixture("tokenizer/stdlib-1000.model").read_bytes())
    monkeypatch.chdir(tmp_path)
    example, _ = re.findall(r"```python\n(.*?)```", USAGE, re.DOTALL)
    names = {}
    exec(compile(example, "usage.md", "exec"), names)
    (mark,) = names["test_parity"].pytestmark
    tests = {parameter.id: parameter.values[0] for parameter in mark.args[1]}
    tests["feeds"]()

    assert isinstance(mark, pytest.Mark)
    assert names["pair"].name == "acme-lm"


def test_the_example_without_a_tokenizer_runs(monkeypatch):
    models = ModuleType("acme.signals")
    models.build_torch, models.build_keras = ports.torch_signal, ports.keras_signal
    monkeypatch.setitem(sys.modules, "acme", ModuleType("acme"))
    monkeypatch.setitem(sys.modules, "acme.signals", models)
    _, example = re.findall(r"```python\n(.*?)```", USAGE, re.DOTALL)
    names = {}
    exec(example, names)

    assert run_check(forward, PairModels(names["signals"]), 0, 5, "").findings == []


def test_the_commands_of_pytest_collect_what_they_name(pytester, furnish, request):
    """On twins that stand in for the user's, beside one test that is no check."""
    furnish(pytester.path)
    acme = pytester.mkpydir("acme")
    (acme / "models.py").write_text("from mine import small as pair\n")
    (pytester.path / "test_plain.py").write_text("def test_plain():\n    pass\n")
    name = "parity.frontends.pytest_plugin.plugin"
    plugin = ["-p", name] if request.config.pluginmanager.hasplugin(name) else []
    section = USAGE.partition("## Inside pytest")[2].partition("\n## ")[0]
    commands = re.findall(r"^    pytest (.*)$", section, re.MULTILINE)
    given = [*plugin, "--assert=plain", "--co", "-q"]
    outputs = [forks.run("pytest", *given, *shlex.split(command), cwd=pytester.path).stdout for command in commands]
    found = [output.splitlines() for output in outputs]

    assert [len([line for line in lines if "::" in line]) for lines in found] == [1 + len(CHECKS), 1, 1]
    assert "parity::acme.models:pair::tokenizer" in found[0]
    assert "parity::lstm::forward" in found[1]
    assert "test_plain.py::test_plain" in found[2]


def test_the_configuration_is_one_and_sets_every_key(tmp_path):
    (example,) = re.findall(r"```toml\n(.*?)```", USAGE, re.DOTALL)
    (tmp_path / "pyproject.toml").write_text(example)
    config = load(tmp_path)

    assert re.findall(r"^(\w+) = ", example, re.MULTILINE) == list(KEYS)
    assert (config.pairs[0], config.seed, config.examples) == ("acme.models:pair", 1, 50)


def test_what_it_links_to_is_there():
    assert "docs/report.png" in links(README)
    assert [link for link in links(README) if not (ROOT / link).exists()] == []
    assert [link for link in links(USAGE) if not (DOCS / link).exists()] == []


def links(page):
    """What a page links to in the repository."""
    return [link for link in re.findall(r"\]\(([^)#]+)\)", page) if not link.startswith("https://")]
