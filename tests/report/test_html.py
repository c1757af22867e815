"""The HTML page: one file that needs nothing else, in which every text stays text, for every reader."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from jsonschema import ValidationError

from parity.checks.results import Finding
from parity.compare.judge import judge
from parity.frontends.cli.console import Output
from parity.report import html as page
from parity.report import plots
from parity.report.document import documents
from tests.helpers import reports
from tests.helpers.reports import HOSTILE

VOID = {"meta", "link", "br", "img", "hr"}
PAGES = {
    "holds": lambda: reports.passing().to_html(),
    "does not hold": lambda: reports.failing().to_html(),
    "several": lambda: page.checked(documents([reports.passing(), reports.failing()])),
    "nothing checked": lambda: reports.report([]).to_html(),
    "no pair": lambda: page.checked({"holds": False, "reports": []}),
    "located": lambda: page.located(reports.located()),
    "nothing to locate": lambda: page.located({**reports.located(), "holds": True, "introduces": [], "causes": []}),
    "gated": lambda: page.gated(reports.gated()),
    "tried": lambda: page.tried(reports.tried()),
    "one family": lambda: page.tried({**reports.tried(), "families": {}, "faults": []}),
}


class Parsed(HTMLParser):
    """A page's elements (tag, attributes), and its text."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.words, self.open = [], [], []
        self.feed(html)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(params=PAGES.values(), ids=PAGES)
def html(request):
    return request.param()


def test_a_page_asks_for_nothing_and_runs_nothing(html):
    found = Parsed(html)
    asked = [value for _, attributes in found.elements for name, value in attributes.items() if name == "src"]
    policy = next(meta for meta in found.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")

    assert not {"script", "iframe", "object", "embed", "img", "base", "form"} & {tag for tag, _ in found.elements}
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    assert asked == []
    assert [link["href"] for link in found.all("link")] == ["data:,"]
    assert "url(" not in html
    assert "@import" not in html
    assert policy["content"].startswith("default-src 'none'")


def test_a_page_is_well_formed_and_its_links_lead_somewhere(html):
    found = Parsed(html)
    names = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    inner = [link["href"][1:] for link in found.all("a") if link["href"].startswith("#")]

    assert len(names) == len(set(names))
    assert set(inner) <= set(names)
    assert all(link["href"].startswith(("#", "https://")) for link in found.all("a"))


def test_a_page_can_be_read_without_seeing_it(html):
    found = Parsed(html)
    headings = [int(tag[1]) for tag, _ in found.elements if tag in ("h1", "h2", "h3")]

    assert found.all("html") == [{"lang": "en"}]
    assert len(found.all("title")) == 1
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))
    assert len(found.all("table")) == len(found.all("caption"))
    assert all("scope" in cell for cell in found.all("th"))
    for drawing in found.all("svg"):
        assert drawing.get("aria-hidden") == "true" or (drawing["role"] == "img" and drawing["aria-label"])
    for attributes in found.all("div"):
        if attributes.get("class") == "scroll":  # whoever has no mouse scrolls it with the keys
            assert attributes["tabindex"] == "0"
            assert attributes["aria-label"]


@pytest.mark.parametrize(
    "render",
    [
        lambda text: reports.failing(text).to_html(),
        lambda text: page.checked(documents([reports.failing(text), reports.passing()])),
        lambda text: page.located(reports.located(text)),
        lambda text: page.gated(reports.gated(text)),
        lambda text: page.tried(reports.tried(text)),
    ],
    ids=["check", "several", "locate", "gate", "selftest"],
)
def test_every_text_stays_text(render):
    """Markup in whatever a user may have named appears as it was written, and the page is built as without it."""
    hostile, plain = Parsed(render(HOSTILE)), Parsed(render(""))

    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    assert hostile.text.count(HOSTILE) >= 4
    assert {c for c in render("\x1b[2J\u202e\x9b\r\x00") if not c.isprintable()} == {"\n"}
    assert Parsed(reports.failing('" onload="x').to_html()).elements[0] == ("html", {"lang": "en"})


def test_a_page_stays_small():
    """Seventeen checks on models of 300 layers, a training of 100 steps, messages and examples without end."""
    report = reports.failing("<&", count=300, steps=100, length=10**6)
    report.checks[3:3] = reports.failing("<&", length=10**6).checks * 4
    html = report.to_html()

    assert len(reports.passing().to_html()) < 50_000
    assert len(html) < 800_000  # 45 drawings are 230,000 of them
    assert "characters more, which --json has" in html


def test_the_same_document_gives_the_same_page():
    document = reports.failing().document()

    assert page.checked(document) == page.checked(json.loads(json.dumps(document)))


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "page.html"
    output = Output(False, None, path)
    output.write(reports.passing().document(), page.checked)
    before = path.read_text(encoding="utf-8")
    output.write({"holds": True}, page.checked)

    assert [type(error) for error in output.unwritten] == [KeyError]  # raised behind the verb, which prints first
    assert before == reports.passing().to_html()
    assert path.read_text(encoding="utf-8") == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_page_shows_the_verdict_the_figures_and_the_command():
    report = reports.failing()
    text = Parsed(report.to_html()).text

    assert "FAIL" in text
    assert "acme-lm : 3 of 4 checks failed: forward, weights, loss" in text
    for check in report.checks[:1]:
        assert f"{check.worst.figure:.1e}" in text
        assert f"{check.worst.limit:.1e} = {check.worst.basis}" in text
        assert all(value in text for value in check.worst.values)
    assert "norm: epsilon torch epsilon 1e-05, tensorflow epsilon 0.001" in text
    assert "With this corrected, the difference drops from 8.2e-04 to 8.9e-16" in text
    assert "Fix: epsilon=1e-05 in norm Note: a cause is measured at its own place, often on other inputs" in text
    assert "example Case(rows=((4, 4),))" in text
    assert f"run again {reports.COMMAND}" in text
    assert "torch 2.13.0+cpu" in text
    assert "source" in text


def test_the_drawing_in_a_message_is_not_shown_twice():
    report = reports.failing()
    (message,) = (finding.message for finding in report.checks[0].findings)
    text = Parsed(report.to_html()).text

    assert "torch32 " in message
    assert "--- 1.0e-04 --- tensorflow32" not in text
    assert "greatest relative difference at" in text


def test_the_first_operations_that_differ_stand_one_below_the_other():
    text = Parsed(reports.failing().to_html()).text

    assert "torch layer_norm(eps=1e-05) norm norm(x) m.py:7 tensorflow Mean(keep_dims=True) norm" in text


def test_without_matplotlib_the_page_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    found = Parsed(reports.failing().to_html())

    assert found.text.count('Pictures are not drawn without matplotlib: pip install "parity[pictures]"') == 1
    assert not [drawing for drawing in found.all("svg") if drawing.get("class") == "plot"]


def test_a_finding_shows_both_values_and_pictures():
    found = Parsed(reports.failing().to_html())
    drawn = [drawing["aria-label"] for drawing in found.all("svg") if drawing.get("class") == "plot"]

    pictures = [
        "Map of the differences",
        "How many elements differ by how much",
        "tensorflow's values over torch's",
    ]
    assert drawn[:4] == [*pictures, "Difference by layer"]
    assert drawn[-2:] == ["losses in float64", "difference of the losses"]
    assert "Values around (3), axis 0 across: torch above tensorflow" in found.text
    assert "11 of 12 elements are equal" in found.text


def test_a_row_of_the_table_unfolds_in_place():
    """Where there is more to see: not of a check that only counts unequal bits, nor of what a finding has shown."""
    found, failing = Parsed(reports.passing().to_html()), Parsed(reports.failing().to_html())

    assert [cell["colspan"] for cell in found.all("td") if "colspan" in cell] == ["7", "7"]
    assert found.text.count("largest difference in logits") == 1
    assert failing.text.count("largest difference in logits") == 0


def test_the_place_is_told_once_by_a_cause_or_without_one_by_a_line():
    report = reports.failing()
    named = Parsed(report.to_html()).text
    finding = report.checks[0].findings[0]
    report.checks[0].findings[0] = replace(finding, diagnosis=replace(finding.diagnosis, causes=()))

    assert "Introduced by" not in named
    assert "Introduced by norm" in Parsed(report.to_html()).text


def test_each_check_has_its_verdict_in_each_precision():
    text = Parsed(reports.failing().to_html()).text

    assert "check float64 float32 forward ≠ different 1.0e-04 ≈ own rounding 1.0e-04" in text


def test_a_finding_that_is_not_of_the_worst_comparison_has_none_of_its_figures():
    """A known divergence that is gone is a finding, too."""
    report = reports.passing()
    report.checks[1].findings.append(Finding("forward", "torch clipping: known since", "none", reports.COMMAND))
    found = Parsed(report.to_html())

    assert "torch clipping: known since" in found.text
    assert "where both sides are furthest apart" not in found.text
    assert len([drawing for drawing in found.all("svg") if "four runs" in drawing.get("aria-label", "")]) == 2


def test_half_a_character_is_written_in_words(tmp_path):
    html = reports.report([], "acme\ud800").to_html()
    (tmp_path / "page.html").write_text(html, encoding="utf-8")

    assert "acme\\ud800" in html


def test_three_corners_are_drawn_as_three():
    square = reports.square(1e-9)
    square = type(square)({**square.rows, "float64": (square.rows["float64"][0], None)}, reason="tensorflow cannot")
    report = reports.report([reports.outcome("forward", judge("logits", square))])
    text = Parsed(report.to_html()).text

    assert report.holds
    assert "one float64 serves both sides" in text
    assert "Float64 on one side only, less sensitive: tensorflow cannot" in text


def test_lower_precisions_have_a_row_each():
    verdict = judge("logits", reports.square(1e-16))
    check = reports.outcome("forward", verdict)
    check.rows["bfloat16"] = replace(verdict.rows[1], dtype="bfloat16")
    text = Parsed(reports.report([check]).to_html()).text

    assert "The worst of each precision" in text
    assert "The worst of each precision" not in Parsed(reports.passing().to_html()).text


def test_reports_made_by_hand_are_as_the_schema_says(valid):
    """So the pages are shown what parity writes."""
    for report in (reports.passing(), reports.failing(HOSTILE), reports.report([])):
        valid("report", report.to_json())
    valid("reports", json.dumps(documents([reports.passing(), reports.failing()])))
    valid("located", json.dumps(reports.located()))
    valid("gate", json.dumps(reports.gated()))
    valid("selftest", json.dumps(reports.tried()))


def test_the_schema_refuses_what_it_does_not_know(valid):
    for change in ({"holds": "yes"}, {"more": 1}, {"seed": -1}):
        with pytest.raises(ValidationError):
            valid("report", json.dumps({**reports.passing().document(), **change}))
