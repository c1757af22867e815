"""What somebody does who has just found parity, in an environment of its own, by the README: `tox -e stranger`.

Each step is run as it is written there, and the text that it should show is looked for on the screen.
"""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
(SHOWN,) = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
(INSTALL,) = re.findall(r"^    (python -m pip install .* && parity check)$", README, re.MULTILINE)
NOTEBOOK = """
import sys

import nbformat
from nbclient import NotebookClient

cells = [nbformat.v4.new_code_cell(text) for text in sys.argv[1:]]
notebook = nbformat.v4.new_notebook(cells=cells)
NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
for output in notebook.cells[-1].outputs:
    print(output.get("text", ""), *output.get("data", {}).values())
"""
TEST = """
import parity
from acme import pair


@parity.parametrize(pair)
def test_parity(check):
    check()
"""
ARRAYS = """
import numpy as np

logits = np.linspace(-1, 1, 24).reshape(4, 6)
np.savez("torch.npz", logits=logits)
np.savez("keras.npz", logits=logits * (1 + 1e-15))
np.savez("wrong.npz", logits=logits[:, ::-1])
"""


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A function that runs a shell's line in a copy of the repository, in a new environment; what is on the screen."""
    place = tmp_path_factory.mktemp("stranger")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        (place / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place / "clone" / name)
    venv.create(place / "environment", with_pip=True)
    ours = ("PYTHON", "TOX", "PIP_CONSTRAINT")  # what tox sets
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = f"{place / 'environment' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    (place / "work").mkdir()
    (place / "work" / "acme.py").write_text(EXAMPLE)

    def run(line, *, status=0, folder="work"):
        environment = {**kept, "PATH": path, "VIRTUAL_ENV": str(place / "environment")}
        found = subprocess.run(
            line,
            shell=isinstance(line, str),
            cwd=place / folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == status, found.stdout[-4000:] + found.stderr[-4000:]
        return found.stdout

    run.installed = run(INSTALL, folder="clone")
    return run


def test_the_first_command_installs_and_checks_the_pair_of_language_models(stranger):
    assert re.search(r"^PASS: models match: \d+ checks, [\d,]+ elements compared$", stranger.installed, re.MULTILINE)


def test_the_demo_finds_the_planted_bug(stranger):
    text = stranger("parity demo")

    assert "first in layer norm" in text
    assert "fix: epsilon=1e-05 in LayerNormalization norm" in text


def test_the_example_prints_what_the_readme_shows(stranger):
    command, *shown = SHOWN.splitlines()
    text = stranger(command.removeprefix("$ "), status=1)

    def plain(line):
        return " ".join(re.sub(r"-?\d[\d,.e+-]*", "#", line).split())

    found = set(map(plain, text.splitlines()))
    assert [line for line in shown if line != "..." and plain(line) not in found] == []


def test_a_notebook_checks_the_models_of_its_cells(stranger):
    stranger("python -m pip install -q nbclient ipykernel")
    cells = [EXAMPLE, "import parity\nreport = parity.check(pair, examples=2)", "print(report)\nreport"]
    text = stranger(["python", "-c", NOTEBOOK, *cells])

    assert "epsilon=1e-05 in LayerNormalization norm" in text
    assert "need a fresh process" in text
    assert "<iframe srcdoc=" in text


def test_a_project_of_tests_has_a_test_a_check_and_a_page(stranger):
    stranger("python -m pip install -q pytest-xdist")
    stranger([sys.executable, "-c", f"open('test_acme.py', 'w').write({TEST!r})"])
    text = stranger("pytest -n 2 --parity-examples 2 --parity-html page.html", status=1)
    page = stranger("cat page.html")
    failed = re.search(r"^FAILED test_acme\.py::test_parity\[forward\] - .*$", text, re.MULTILINE)[0]

    assert "outputs differ, " in failed  # of a screen of 80 columns no more is to be seen
    assert re.search(r"parity: \d+ checks in \S*page\.html", text)
    assert "Fix: epsilon=1e-05 in LayerNormalization norm" in page
    assert '<svg class="plot"' in page


def test_two_files_of_arrays_are_compared(stranger):
    stranger(["python", "-c", ARRAYS])

    assert "rounding" in stranger("parity compare torch.npz keras.npz --quiet")
    assert "mismatched elements: 24 / 24 (100%)" in stranger("parity compare torch.npz wrong.npz", status=1)
