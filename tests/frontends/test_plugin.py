"""The pytest plugin, as a user's project meets it: what it costs, collects, says and refuses."""

import re
import shlex
import subprocess
import sys

import pytest

from parity.checks import CHECKS
from tests.helpers import forks
from tests.helpers.toys import PLAIN, TOYS, USER, WATCHED
from tests.report.test_html import Parsed

NAMES = [module.__name__.rpartition(".")[2] for module in CHECKS]
PLUGIN = "parity.frontends.pytest_plugin.plugin"
SETTINGS = "-p", "no:cacheprovider", "--strict-markers", "-W", "error"


@pytest.fixture
def plugin(request):
    """What registers the plugin where the entry point is not there."""
    return ("-p", PLUGIN) if request.config.pluginmanager.hasplugin(PLUGIN) else ()


@pytest.fixture
def interpreter(pytester, plugin, furnish):
    """A user's project in an empty directory: run pytest there in an interpreter that has loaded nothing."""
    furnish(pytester.path)
    return lambda *args: pytester.runpytest_subprocess(*SETTINGS, *plugin, *args)


@pytest.fixture
def user(pytester, plugin, furnish):
    """The same in a fork, which has parity loaded: its asserts are not rewritten."""
    furnish(pytester.path)

    def run(*args):
        command = *SETTINGS, *plugin, "--assert=plain", *args
        found = forks.run("pytest", *command, cwd=pytester.path)
        return pytest.RunResult(found.returncode, found.stdout.splitlines(), found.stderr.splitlines(), 0)

    run.path = pytester.path
    return run


@pytest.fixture
def toys(user):
    """A user's project where four toys are all the checks there are: on lstm, and on a pair in a test file."""
    (user.path / "conftest.py").write_text(TOYS)
    (user.path / "test_user.py").write_text(USER)
    return user


def test_loading_the_plugin_loads_nothing_else():
    """Every pytest on a machine with parity pays for it: no third party, and of parity next to nothing."""
    code = f"import sys, pytest; before = set(sys.modules); import {PLUGIN}; print(*set(sys.modules) - before)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in result.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names}

    assert loaded == {
        "parity",
        "parity.errors",
        "parity.frontends",
        "parity.frontends.pytest_plugin",
        "parity.frontends.pytest_plugin.nodes",
        PLUGIN,
    }


def test_collecting_loads_no_framework_and_every_check_is_marked(interpreter, pytester):
    (pytester.path / "test_user.py").write_text(USER + PLAIN)
    (pytester.path / "conftest.py").write_text(WATCHED)
    result = interpreter("-m", "not parity", "--parity", "lstm")

    result.assert_outcomes(passed=1, deselected=2 * len(NAMES))
    result.stdout.fnmatch_lines(["loaded:"])


def test_the_test_above_can_fail(interpreter, pytester):
    (pytester.path / "torch.py").touch()
    (pytester.path / "conftest.py").write_text("import torch\n" + WATCHED)

    interpreter("--parity", "lstm", "--co", "-q").stdout.fnmatch_lines(["loaded: torch"])


def test_without_a_test_file_there_is_one_item_a_check(user):
    result = user("--parity", "lstm", "--parity", "gru", "--parity", "lstm", "--co", "-q")
    found = [line for line in result.outlines if line.startswith("parity::")]

    order = sorted(NAMES, key=lambda name: (name != "conversion", name != "forward"))
    assert found == [f"parity::{pair}::{name}" for pair in ("lstm", "gru") for name in order]
    assert result.ret == 0


FAILURE = """
*____ parity::mine:off_by_a_millionth::forward ____*
outputs differ, max |diff| 2.4e-07 (limit *); first in layer head
  logits (1, 1000): mismatched elements: 1 / 1,000; greatest difference at (0, 0, 3): torch -0.*, tensorflow -0.*
    rounding error accounts for at most * = 32768 * 2^-29 * *
  cause: head: weights changed: tensorflow computes as if kernel at 3, 5 were *, not *
    fix: copy the parameter again: single values were altered (tensorflow); with this corrected, * drops from * to *
  note: a cause is measured at its own place, *
  first operations that differ:
    torch linear(*) in head
      *: logits = self.head(*
    tensorflow MatMul(*) in head
      *: logits = self.head(*
  rerun: pytest --parity mine:off_by_a_millionth -k 'mine:off_by_a_millionth and forward' --parity-seed 1 *-examples 3
""".strip().splitlines()


def test_a_failure_is_told_as_a_report_tells_it(user):
    """On real models; and a builder that fails is one line of every test."""
    pairs = ("--parity", "mine:off_by_a_millionth", "--parity", "mine:broken")
    result = user(*pairs, "-k", "feeds or forward", "--parity-examples", "3", "--parity-seed", "1")
    text = result.stdout.str()

    result.assert_outcomes(passed=1, failed=1, errors=2, deselected=2 * len(NAMES) - 4)
    result.stdout.fnmatch_lines(FAILURE, consecutive=True)
    for name in ("feeds", "forward"):
        message = "the torch builder failed: ZeroDivisionError: in the builder"
        result.stdout.fnmatch_lines([f"*ERROR at setup of parity::mine:broken::{name}*", message], consecutive=True)
    assert "Traceback" not in text
    assert not re.search(r"^\S+\.py:", text, re.MULTILINE)  # a traceback's lines are not indented


ITEMS = """
*____ parity::lstm::differs ____*
the sides differ: 1 of 1 elements are not bitwise equal
  number (1): wanted and found are different, but should be identical
    unequal: 1 of 1 elements
    first at (0,): wanted 5, found 6
  ruled out: whatever else a toy has
  example: 5
  rerun: pytest --parity lstm -k 'lstm and differs' --parity-seed 0 --parity-examples 25
*____ parity::lstm::misused ____*
no such file
*____ parity::lstm::fails ____*
conftest.py:*: in <lambda>
    toys = {*
*^^*
conftest.py:*: in model
    raise ZeroDivisionError("in the model")
E   ZeroDivisionError: in the model
E   in check fails of lstm, example *
*= short test summary info =*
""".strip().splitlines()


def test_an_item_tells_a_finding_and_misuse_without_a_traceback_and_an_error_with_the_models_own(toys):
    result = toys("--parity", "lstm", "--ignore", "test_user.py")

    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(ITEMS, consecutive=True)


def test_a_function_does_as_well(toys):
    result = toys()

    result.assert_outcomes(passed=1, failed=3)
    assert [line.partition("  ")[2].strip() for line in result.outlines if line.startswith("E  ")] == [
        "parity.Mismatch: the sides differ: 1 of 1 elements are not bitwise equal",
        "number (1): wanted and found are different, but should be identical",
        "unequal: 1 of 1 elements",
        "first at (0,): wanted 5, found 6",
        "ruled out: whatever else a toy has",
        "example: 5",
        "rerun: pytest 'test_user.py::test_small[differs]' --parity-seed 7 --parity-examples 25",
        "parity.errors.ParityError: no such file",
        "in check misused of lstm, example 5",
        "ZeroDivisionError: in the model",
        "in check fails of lstm, example 5",
    ]
    places = [line.partition(":")[0] for line in result.outlines if re.match(r"\S+\.py:\d+: ", line)]
    assert places == ["test_user.py", "test_user.py", "test_user.py", "conftest.py", "conftest.py"]


def test_the_command_that_is_told_runs_the_test_again(toys):
    result = toys("--parity", "lstm", "-k", "differs", "--parity-examples", "3")
    commands = [line.partition("rerun: ")[2] for line in result.outlines if "rerun: " in line]

    assert len(commands) == 2
    for command in commands:
        again = toys(*shlex.split(command)[1:])
        again.assert_outcomes(failed=1, deselected=7 if "--parity " in command else 0)
        assert [line.partition("rerun: ")[2] for line in again.outlines if "rerun: " in line] == [command]


def test_only_the_first_that_fails_is_explained(toys):
    """As in a report, for later ones may follow from it."""
    (toys.path / "conftest.py").write_text(TOYS.replace('"misused": missing', '"parts": unequal'))
    result = toys("-k", "differs or parts")

    result.assert_outcomes(failed=2, deselected=2)
    assert result.stdout.str().count("ruled out: ") == 1


FORWARD = """
import parity.api

parity.api.forward, follows, _, _ = parity.checks.CHECKS
parity.checks.FRESH_PROCESS = parity.api.FOLLOWS = (follows,)
parity.backends.process.warm = lambda: print("the server starts")
"""


def test_what_follows_from_a_failed_forward_is_skipped_unless_asked_for(toys):
    failing = TOYS.replace('"holds": equal, "differs": unequal', '"forward": unequal, "calls": equal') + FORWARD
    (toys.path / "conftest.py").write_text(failing)
    result = toys("-rs", "-k", "forward or calls", "--parity-html", "page.html")
    text = Parsed((toys.path / "page.html").read_text(encoding="utf-8")).text
    result.assert_outcomes(failed=1, skipped=1, deselected=2)
    assert "the server starts" in result.stdout.str()
    result.stdout.fnmatch_lines(["SKIPPED * not run: forward failed; --parity-all runs it"])
    assert "1 of 1 check failed: forward" in text
    assert "not run calls: forward failed not run misused, fails: not asked for" in text
    toys("-k", "forward or calls", "--parity-all").assert_outcomes(passed=1, failed=1, deselected=2)


def test_under_xdist_each_worker_builds_a_pair_once_and_a_page_gathers_what_all_found(toys):
    """A bare --parity is the configured pairs; what the code says goes before the options, they before a project."""
    (toys.path / "pyproject.toml").write_text('[tool.parity]\npairs = ["lstm"]\nseed = 3\nexamples = 2\n')
    result = toys("-n", "2", "--parity-examples", "4", "--parity", "--parity-html", "page.html")
    builds = (toys.path / "builds").read_text().split()
    found = Parsed((toys.path / "page.html").read_text(encoding="utf-8"))
    rows = [row["id"] for row in found.all("tbody") if row.get("id", "").startswith("pair-")]

    result.assert_outcomes(passed=2, failed=6)
    result.stdout.fnmatch_lines_random(
        [
            "E  *rerun: pytest 'test_user.py::test_small[[]differs]' --parity-seed 7 --parity-examples 4",
            "  rerun: pytest --parity lstm -k 'lstm and differs' --parity-seed 3 --parity-examples 4",
            "*- parity: 8 checks in */page.html -*",
        ]
    )
    assert set(builds) == {"gw0", "gw1"}
    assert max(builds.count(worker) for worker in builds) <= 2  # of two pairs
    assert rows == [f"pair-{pair}-{name}" for pair in (1, 2) for name in ("holds", "differs", "misused", "fails")]
    assert "0 of 2 pairs match" in found.text
    assert found.text.count("misused: The claim of misused. The check did not finish, and proves nothing: no such") == 2
    assert "did not finish, and proves nothing: ZeroDivisionError: in the model" in found.text
    assert "run again pytest --parity lstm -k 'lstm and differs' --parity-seed 3" in found.text
    assert "parity 0." in found.text


def test_a_page_of_one_pair_holds_if_its_checks_do(toys):
    result = toys("-k", "holds", "--parity-html", "page.html")
    text = Parsed((toys.path / "page.html").read_text(encoding="utf-8")).text
    toys("-k", "nothing", "--parity-html", "page.html")

    result.assert_outcomes(passed=1, deselected=3)
    assert "PASS: models match lstm : 1 check," in text
    assert "not run differs, misused, fails: not asked for" in text
    assert "FAIL 0 of 0 pairs match" in Parsed((toys.path / "page.html").read_text(encoding="utf-8")).text


MISUSE = {
    "a page to nowhere": ("--parity-html=no/a.html", "ERROR: parity: */no/a.html: cannot be written (No such file *"),
    "unknown pair": ("--parity=lstn", "ERROR: parity: unknown pair 'lstn'; did you mean lstm? available: lstm, gru, *"),
    "missing tokenizer": ("--parity=mine:no_tokenizer", "ERROR: parity: missing.model: cannot be read (No such file *"),
    "no number": ("--parity-seed=one", "*: error: argument --parity-seed: 'one' is not a non-negative integer"),
    "no examples": ("--parity-examples=0", "*: error: argument --parity-examples: '0' is not a positive integer"),
}


@pytest.mark.parametrize(("option", "message"), MISUSE.values(), ids=MISUSE)
def test_a_wrong_option_is_one_line_and_exits_4(option, message, user):
    result = user("-n", "2", option)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    assert "Traceback" not in result.stderr.str()


def test_a_mistake_in_the_configuration_is_one_line(toys):
    """An option's error where --parity is given; otherwise that of the tests which would need it."""
    (toys.path / "pyproject.toml").write_text("[tool.parity]\nexample = 2\n")
    (toys.path / "test_user.py").write_text(USER + PLAIN)
    message = "*pyproject.toml: [[]tool.parity]: unknown key 'example'; did you mean examples? available: pairs, *"
    asked, tests = toys("--parity"), toys("-k", "holds or plain")

    assert asked.ret == pytest.ExitCode.USAGE_ERROR
    asked.stderr.fnmatch_lines([f"ERROR: parity: {message}"])
    tests.assert_outcomes(passed=1, errors=1, deselected=3)
    tests.stdout.fnmatch_lines(["*ERROR at setup of test_small[[]holds]*", message], consecutive=True)
