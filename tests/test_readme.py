"""The README is true: its files exist, its example runs, its report is the one that parity prints."""

import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

from parity.checks import CHECKS, forward
from parity.checks.known_divergences import KNOWN
from parity.checks.runner import run_one
from parity.compare import judge
from parity.frontends.config import KEYS, load
from parity.inputs.specimens import fixture
from parity.pair.models import Corners
from parity.report import terminal
from tests.helpers import forks, ports

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_every_room_in_the_tree_exists_and_none_is_missing():
    tree = README.partition("## The house")[2].partition("`tests/test_house.py`")[0]
    named = set(re.findall(r"\w+\.py", tree))
    present = {path.name for folder in ("parity", "tests") for path in (ROOT / folder).rglob("*.py")}
    modules = {path.name for path in (ROOT / "parity").glob("*.py")}
    foundations = {"__init__.py", "__main__.py", "errors.py", "files.py"}
    folders = {path.parent.name for path in (ROOT / "parity").glob("*/__init__.py")}

    assert named <= present
    assert modules - foundations <= named
    assert set(re.findall(r"^      (\w+)/ ", tree, re.M)) == folders


def test_the_report_shows_the_checks_and_the_limit_as_they_are():
    report = README.partition("## What you see")[2].partition("## Your own pair")[0]

    assert [line.split()[0] for line in report.splitlines() if re.match(r"    \w+ +(identical|rounding) ", line)] == [
        module.__name__.rpartition(".")[2] for module in CHECKS
    ]
    assert terminal.LIMIT in report
    assert f"known: {len(KNOWN)} {terminal.KNOWN}\n" in report
    assert f"= {judge.FLOOR:g} * " in report
    assert all(f"`{word}`" in report for word in judge.ORDER)


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
    example, _ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(compile(example, "README.md", "exec"), names)
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
    _, example = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(example, names)

    assert run_one(forward, Corners(names["signals"]), 0, 5, "").findings == []


def test_the_commands_of_pytest_collect_what_they_name(pytester, furnish, request):
    """On twins that stand in for the user's, beside one test that is no check."""
    furnish(pytester.path)
    acme = pytester.mkpydir("acme")
    (acme / "models.py").write_text("from mine import small as pair\n")
    (pytester.path / "test_plain.py").write_text("def test_plain():\n    pass\n")
    name = "parity.frontends.pytest_plugin.plugin"
    plugin = ["-p", name] if request.config.pluginmanager.hasplugin(name) else []
    section = README.partition("## Inside pytest")[2].partition("\n## ")[0]
    commands = re.findall(r"^    pytest (.*)$", section, re.MULTILINE)
    given = [*plugin, "--assert=plain", "--co", "-q"]
    outputs = [forks.run("pytest", *given, *shlex.split(command), cwd=pytester.path).stdout for command in commands]
    found = [output.splitlines() for output in outputs]

    assert [len([line for line in lines if "::" in line]) for lines in found] == [1 + len(CHECKS), 1, 1]
    assert "parity::acme.models:pair::tokenizer" in found[0]
    assert "parity::lstm::forward" in found[1]
    assert "test_plain.py::test_plain" in found[2]


def test_the_configuration_is_one_and_sets_every_key(tmp_path):
    (example,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "pyproject.toml").write_text(example)
    config = load(tmp_path)

    assert re.findall(r"^(\w+) = ", example, re.MULTILINE) == list(KEYS)
    assert (config.pairs[0], config.seed, config.examples) == ("acme.models:pair", 1, 50)


def test_what_it_links_to_is_there():
    links = re.findall(r"\]\(([^)#]+)\)", README)

    assert "docs/report.png" in links
    assert [link for link in links if not link.startswith("https://") and not (ROOT / link).exists()] == []
