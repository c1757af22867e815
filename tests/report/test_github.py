"""What GitHub Actions is told, and that nothing else is."""

import pytest
from markdown_it import MarkdownIt

from parity.errors import ParityError
from parity.report import github, html
from parity.report.document import documents
from tests.helpers import reports
from tests.helpers.reports import HOSTILE
from tests.report.test_html import Parsed


def told(document, **environment):
    lines = []
    github.tell(document, environment, lines.append)
    return lines


def test_anywhere_else_nothing_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert told(reports.failing().document()) == []
    assert told(reports.failing().document(), GITHUB_ACTIONS="false", GITHUB_STEP_SUMMARY="") == []
    assert list(tmp_path.iterdir()) == []


def test_each_finding_is_an_annotation_of_one_line():
    lines = told(reports.failing().document(), GITHUB_ACTIONS="true")

    assert [line.partition("::logits")[0] for line in lines[:1]] == ["::error title=parity check acme-lm%3A forward"]
    assert len(lines) == 3
    assert all(line.startswith("::error title=") and "\n" not in line for line in lines)
    assert "%0Aintroduced by norm%0A" in lines[0]
    assert lines[0].endswith(f"%0Aexample: Case(rows=((4, 4),))%0Arerun: {reports.COMMAND}")
    assert "(8.33%25)" in lines[0]


def test_a_report_that_holds_has_no_annotation():
    assert told(reports.passing().document(), GITHUB_ACTIONS="true") == []


def test_a_pair_without_a_report_is_an_annotation(tmp_path):
    document = documents([reports.passing()], {"acme:b": "the torch builder failed: ZeroDivisionError: 1\n2"})
    summary = tmp_path / "summary.md"
    (line,) = told(document, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    head = "::error title=parity check acme%3Ab::was not checked: "

    assert line == f"{head}the torch builder failed: ZeroDivisionError: 1%0A2"
    assert "acme:b was not checked: the torch builder failed" in Parsed(summary.read_text(encoding="utf-8")).text


def test_a_text_ends_no_annotation_and_begins_no_command():
    text = "\n::set-output name=a::b,c\r%0A"
    for line in told(reports.failing(text).document(), GITHUB_ACTIONS="true"):
        head, _, message = line.removeprefix("::error ").partition("::")

        assert not {"\n", "\r"} & set(line)
        assert head.count(",") == 0
        assert "%0A::set-output name=a::b,c%0D%250A" in message or "compared nothing" in message
    assert "%0A%3A%3Aset-output name=a%3A%3Ab%2Cc%0D%250A" in head


def test_the_summary_is_added_to_what_earlier_steps_wrote(tmp_path):
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    for _ in range(2):
        told(reports.passing().document(), GITHUB_STEP_SUMMARY=str(path))
    text = path.read_text(encoding="utf-8")

    assert text.startswith("before\n<h2>✓ PASS: models match: <code>acme-lm</code></h2>\n")
    assert text.count("<h2>") == 2


def shown(document):
    """A summary as GitHub shows it: Markdown, in which HTML is left as it is."""
    return Parsed(MarkdownIt("commonmark").render(html.summary(document)))


def test_the_summary_says_what_differs_and_of_every_check_what_it_came_to():
    found = shown(documents([reports.passing(), reports.failing()]))
    folds = [attributes for tag, attributes in found.elements if tag == "details"]

    assert "✓ PASS: models match: acme-lm" in found.text.replace(" : ", ": ")
    assert "✗ FAIL" in found.text
    assert "3 of 4 checks failed" in found.text
    assert "torch32 --- 1.0e-04 --- tensorflow32" in found.text
    assert len(folds) == 3
    assert [fold for fold in folds if "open" in fold] == [{"open": None}]
    assert found.text.count("98,000 times") == 0
    assert len([tag for tag, _ in found.elements if tag == "tr"]) == 4 + 5


@pytest.mark.parametrize("text", [HOSTILE, "\n\n# head **bold** ![x](https://example.com/x.png)\n\n", "</pre>`x`|"])
def test_markup_in_a_text_stays_text_in_the_summary(text):
    hostile, plain = shown(reports.failing(text).document()), shown(reports.failing().document())

    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    assert " ".join(text.split()) in hostile.text


def test_a_summary_that_cannot_be_written_is_misuse(tmp_path):
    environment = {"GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "summary.md")}
    for call in (lambda: github.check(environment), lambda: told(reports.passing().document(), **environment)):
        with pytest.raises(ParityError, match=r"no/summary.md: cannot be written \(No such file or directory\)"):
            call()


@pytest.mark.usefixtures("two_checks")
def test_check_tells_github_where_it_runs_there(here, project, monkeypatch):
    """After the report, which it does not change."""
    monkeypatch.setenv(github.ACTIONS, "true")
    monkeypatch.setenv(github.SUMMARY, str(project / "summary.md"))
    status, out, _ = here("check", "mine:off_by_a_millionth", "--examples", "1", "--quiet")
    verdict, *lines = out.splitlines()

    assert status == 1
    assert verdict.startswith("FAIL: 2 of 2 checks failed: weights, forward")
    assert lines[0].startswith("::error title=parity check off%3A weights::head.kernel in tensorflow float32 ")
    assert all(line.startswith("::error ") for line in lines)
    assert (project / "summary.md").read_text(encoding="utf-8").startswith("<h2>✗ FAIL: <code>off</code>")
