"""An error on the way costs no report: every check and every diagnosing function is made to raise, one at a time."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import strategies as st
from rich.console import Console

from parity import api, checks
from parity.checks import CHECKS, name_of, runner
from parity.checks.results import Diagnosis, DifferingOperation, Finding, Outcome
from parity.compare.judge import judge_exact
from parity.diagnose import explain, located
from parity.dtypes import PRECISIONS
from parity.pair.constants import Constants
from parity.report import github, terminal
from parity.report import html as page
from tests.report.test_html import Parsed

TOKENIZER = SimpleNamespace(fingerprint="0" * 64, settings={"pieces": 5})
SIDES = "torch", "tensorflow"
PAIR = SimpleNamespace(
    name="toy",
    inputs=None,
    call=None,
    loss=None,
    optimizer=None,
    padded=False,
    weights="drawn",
    own_weights=False,
    sides=SIDES,
    lacking=lambda _: "",
)
EXERCISED = SimpleNamespace(missing=lambda _: ())
CORNERS = SimpleNamespace(
    pair=PAIR,
    tokenizer=TOKENIZER,
    models={("torch", "float32"): SimpleNamespace(variables=list)},
    builds={},
    lean=False,
    backends={},
    sides=SIDES,
    dtypes=PRECISIONS,
    reason="",
    weaker={},
    weaker_loss={},
    unproved=(),
    unread=(),
    unlike={},
    constants=Constants({}, {}),
    exercised=EXERCISED,
    carried="all",
    forget=lambda: None,
    loaded=None,
)


def equal(found=1):
    return judge_exact("number", np.array([1]), np.array([found]), ("wanted", "found"))


def failing(*_, **__):
    raise ZeroDivisionError("in the\nmodel")


def leaving(*_):
    raise SystemExit(0)


@pytest.fixture(autouse=True)
def _toys(monkeypatch):
    """Every check as it is called, of whole numbers, without its work."""
    for module in CHECKS:
        monkeypatch.setattr(module, "examples", lambda _: st.integers(0, 9))
        monkeypatch.setattr(module, "verify", lambda *_: [equal()])
        monkeypatch.setattr(module, "known", lambda _: (), raising=False)
        monkeypatch.setattr(module, "FIXED_EXAMPLES", (), raising=False)
        monkeypatch.setattr(module, "beyond", lambda _: (), raising=False)


def report(examples=2):
    return api.run_checks(CORNERS, api.Asked(0, examples, run_all=True, target="toy"))


RAISING = [*((module, "verify") for module in CHECKS), (CHECKS[0], "examples"), (CHECKS[-1], "known")]


@pytest.mark.parametrize(("module", "name"), RAISING, ids=lambda of: of if isinstance(of, str) else name_of(of))
def test_a_check_that_raises_loses_no_other(module, name, monkeypatch, valid):
    monkeypatch.setattr(module, name, leaving if name == "known" else failing)
    found, checked = report(), name_of(module)
    document = valid("report", found.to_json())
    told = {check["name"]: check["error"] for check in document["checks"] if check["error"]}
    message = "SystemExit: 0" if name == "known" else "ZeroDivisionError: in the model"

    assert (found.holds, [check["name"] for check in document["checks"]]) == (False, [name_of(m) for m in CHECKS])
    assert [check["verdict"] for check in document["checks"]].count("error") == 1
    assert list(told) == [checked]
    assert found.errors[0].raised is None  # its frames would hold the models as long as the report lives
    assert (told[checked]["type"], told[checked]["message"]) == (message.partition(":")[0], message)
    assert "test_errors.py" in told[checked]["traceback"]
    assert told[checked]["example"] == ("0" if name == "verify" else "none")
    assert_shown(found, document, checked, message)


def assert_shown(found, document, checked, message):
    """In the terminal, on the page, and in a job's annotations and summary."""
    console = Console(record=True, width=100, file=io.StringIO())
    terminal.show(found, console)
    text = console.export_text()

    assert f"{checked}: did not finish: {message}\n" in text
    assert text.rstrip().endswith(f"ERROR: 1 of {len(CHECKS)} checks ended in an error: {checked}")
    for html in (found.to_html(), page.summary(document)):
        assert "ERROR" in Parsed(html).text
        assert f"1 of {len(CHECKS)} checks ended in an error: {checked}" in Parsed(html).text
        assert message in Parsed(html).text
    (annotation,) = github.annotations(document)
    assert annotation.startswith(f"::error title=parity check toy%3A {checked}::did not finish: {message}%0A")


def test_what_was_exercised_costs_no_report_either(monkeypatch):
    monkeypatch.setattr(EXERCISED, "missing", failing)

    assert report().not_exercised == ("what was not exercised is not known: ZeroDivisionError: in the model",)


def test_ctrl_c_is_no_error_of_a_check(monkeypatch):
    def pressed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(checks.forward, "verify", pressed)
    with pytest.raises(KeyboardInterrupt):
        report()


def test_an_error_while_shrinking_leaves_the_finding(monkeypatch):
    tried = []

    def verify(_, n):
        tried.append(n)
        return failing() if len(tried) > 1 else [equal(2)]

    monkeypatch.setattr(checks.forward, "verify", verify)
    monkeypatch.setattr(checks.forward, "examples", lambda _: st.integers(5, 9).map(lambda n: n + len(tried)))
    monkeypatch.setattr(api, "diagnose", lambda *_: Diagnosis(("head",)))
    outcome = next(check for check in report().checks if check.name == "forward")
    (finding,) = outcome.findings

    assert (outcome.error, outcome.verdict) == (None, "different")
    assert finding.why == (
        "introduced by head",
        "the example was not made smaller: ZeroDivisionError: in the model",
    )


def test_an_error_behind_a_finding_is_told_beside_it(monkeypatch):
    monkeypatch.setattr(checks.training, "verify", lambda *_: [equal(2)])
    monkeypatch.setattr(checks.training, "known", failing)
    monkeypatch.setattr(api, "diagnose", lambda *_: Diagnosis(("optimizer",)))
    found = report()

    assert len(found.findings) == len(found.errors) == 1
    assert (
        terminal.last_line(found).plain
        == f"FAIL: 1 of {len(CHECKS)} checks failed: training; 1 of {len(CHECKS)} checks ended in an error: training"
    )


CHECK_OF = {check.STAGE: checks.name_of(check) for check in CHECKS}
# What `diagnose` calls on its way, and the check of whose finding it does.
STEPS = {
    "specimen": "forward",
    "batch_of": "forward",
    "one_side.unsteady": "forward",
    "one_side.aged": "gradients",
    "modes.explain": "calls",
    "located": "forward",
    "hidden": "padding",
    "conversion.written": "weights",
    "gradients.explain": "gradients",
    "backward": "gradients",
    "pulls.placed": "gradients",
    "why": "forward",
    **{f"{module.__name__.rpartition('.')[2]}.explain": CHECK_OF[stage] for stage, module in explain.STAGES.items()},
    "serialization.explain": "reload",
    "criterion.explain": "loss",
    "inputs.parted": "forward",
    "operators.operations": "forward",
    "operators.causes": "forward",
}


@pytest.mark.parametrize(("step", "check"), STEPS.items(), ids=STEPS)
def test_a_diagnosis_that_raises_leaves_the_finding(step, check, monkeypatch, valid):
    """And the line says what was raised."""
    head = SimpleNamespace(introduces=[1], gradients=[]), Diagnosis(("head",))
    nothing = SimpleNamespace(introduces=[], gradients=[]), Diagnosis()
    monkeypatch.setattr(CORNERS, "ensure", lambda _: None, raising=False)
    for name, found in {"specimen": (0, 0), "batch_of": (0, 0), "hidden": []}.items():
        monkeypatch.setattr(explain, name, lambda *_, found=found: found)
    for steady in ("unsteady", "aged"):
        monkeypatch.setattr(explain.one_side, steady, lambda *_: [])
    first = [DifferingOperation("torch", "add()", "head")] if check != "gradients" else []
    monkeypatch.setattr(explain.operators, "operations", lambda *_: first)
    monkeypatch.setattr(explain.pulls, "placed", lambda *given: given[-1])
    monkeypatch.setattr(explain.operators, "uneditable", lambda _: "")
    for search in ("causes", "exchanged"):
        monkeypatch.setattr(explain.operators, search, lambda *_: [])
    monkeypatch.setattr(explain, "elsewhere", lambda *_: [])
    monkeypatch.setattr(explain, "located", lambda *_, **__: nothing if step in ("hidden", "inputs.parted") else head)
    monkeypatch.setattr(PAIR, "loss", "own" if step == "criterion.explain" else None)
    owner, _, name = step.rpartition(".")
    monkeypatch.setattr(api if step == "why" else getattr(explain, owner) if owner else explain, name, failing)
    outcome = Outcome(check, "The claim.")
    outcome.see(equal(2))
    outcome.findings.append(Finding(check, "number differs", "1", "parity check toy", given=(1, 2)))
    api.explain(CORNERS, [outcome])
    (finding,) = outcome.findings

    assert finding.message == "number differs"
    assert "the cause was not looked for: ZeroDivisionError: in the model" in finding.why
    document = valid("report", runner.report(CORNERS, 0, 2, "parity check toy", [outcome]).to_json())
    assert document["checks"][0]["findings"][0]["diagnosis"]["errors"] == ["ZeroDivisionError: in the model"]
    assert document["checks"][0]["error"] is None


def test_what_could_not_be_compared_is_told_where_nothing_is_located(monkeypatch):
    found = SimpleNamespace(
        introduces=[], pieces=(), layers=(), weaker="", errors=("gradients of head not compared: no",)
    )
    monkeypatch.setattr(CORNERS, "ensure", lambda _: None, raising=False)
    for name, given in {"specimen": (0, 0), "batch_of": (0, 0), "hidden": []}.items():
        monkeypatch.setattr(explain, name, lambda *_, given=given: given)
    monkeypatch.setattr(located, "locate", lambda *_: found)
    monkeypatch.setattr(located, "segments", lambda *_: [])
    for steady in ("unsteady", "aged"):
        monkeypatch.setattr(explain.one_side, steady, lambda *_: [])
    outcome = Outcome("batching", "The claim.")
    outcome.findings.append(Finding("batching", "number differs", "1", "parity check toy", given=(1, 2)))

    assert explain.diagnose(CORNERS, outcome).errors == found.errors


@pytest.mark.parametrize("step", ["segments", "explain"])
def test_what_is_located_stands_where_its_cause_cannot_be_looked_for(step, monkeypatch):
    segments = [SimpleNamespace(path=path, unstable="") for path in ("head", "norm")]
    found = SimpleNamespace(introduces=segments, pieces=(), layers=(), weaker="")
    monkeypatch.setattr(located, "locate", lambda *_: found)
    monkeypatch.setattr(located, "segments", lambda *_: segments)
    monkeypatch.setattr(located, "explain", lambda *_: ([], ["a missing bias"]))
    monkeypatch.setattr(
        located, step, lambda *given: failing() if given[0] is not segments[1] else ([], ["transposed"])
    )
    _, diagnosis = located.located(CORNERS, None)

    assert diagnosis.where == ("head", "norm")
    assert diagnosis.ruled_out == (() if step == "segments" else ("transposed",))
    assert diagnosis.errors == (("" if step == "segments" else "head: ") + "ZeroDivisionError: in the model",)


def test_an_error_in_what_explains_several_layers_leaves_each_to_be_explained_alone(monkeypatch):
    segment = SimpleNamespace(path="head", unstable="")
    found = SimpleNamespace(introduces=[segment], pieces=(), layers=(), weaker="")
    instead = {"locate": found, "segments": [segment], "explain": ([], ["a missing bias"])}
    for name, result in instead.items():
        monkeypatch.setattr(located, name, lambda *_, result=result: result)
    monkeypatch.setattr(located, "jointly", failing)
    _, diagnosis = located.located(CORNERS, None)

    assert diagnosis.ruled_out == ("a missing bias",)
    assert diagnosis.errors == ("ZeroDivisionError: in the model",)
