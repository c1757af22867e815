"""The pages in headless Chromium, as a reader meets them: `tox -e browser`.

In an environment of its own, because it needs chromium and chromedriver on the PATH.
"""

from itertools import pairwise

import pytest
from axe_core_python.selenium import Axe
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from parity.report import html as page
from parity.report.document import documents
from tests.helpers import reports
from tests.helpers.browser import show as open_page
from tests.helpers.browser import started
from tests.helpers.reports import HOSTILE

WIDE, NARROW = (1200, 900), (390, 844)
PAGES = {
    "holds": lambda: reports.passing().to_html(),
    "does not hold": lambda: reports.failing(count=12, steps=40).to_html(),
    "several": lambda: page.checked(documents([reports.passing(), reports.failing()])),
    "located": lambda: page.located(reports.located()),
    "gated": lambda: page.gated(reports.gated()),
    "tried": lambda: page.tried(reports.tried()),
    "hostile": lambda: reports.failing(HOSTILE, length=10_000).to_html(),
}


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    driver = started(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def shown(browser, tmp_path):
    """Show a page, in a size and a look, and give the browser: `shown(html, NARROW, "dark", "print")`."""

    def show(html, size=WIDE, look="light", medium="screen"):
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf-8")
        open_page(browser, path, size, look, medium)
        return browser

    yield show
    assert browser.get_log("browser") == []


@pytest.fixture(params=PAGES.values(), ids=PAGES)
def html(request):
    return request.param()


@pytest.mark.parametrize("look", ["light", "dark"])
def test_a_page_renders_and_says_nothing_to_the_console(html, look, shown):
    """Nothing is fetched, the look is the one asked for, and no rule of accessibility is broken, contrast included."""
    browser = shown(html, look=look)
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    found = Axe().run(browser)

    assert browser.find_element(By.TAG_NAME, "h1").is_displayed()
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert paper == {"light": "rgb(247, 247, 245)", "dark": "rgb(18, 21, 25)"}[look]
    assert [(broken["id"], [node["html"] for node in broken["nodes"]]) for broken in found["violations"]] == []


def test_a_narrow_page_does_not_scroll_sideways(html, shown):
    """But for its tables, each in a frame of its own."""
    browser = shown(html, NARROW)
    wide = "return [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll') && \
        e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.skip')).map(e => e.outerHTML.slice(0, 99))"

    assert browser.execute_script(wide) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= NARROW[0]


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_no_option_of_a_command_is_cut_where_a_line_ends(html, shown, size):
    browser = shown(html, size)
    texts = "return [...document.querySelectorAll('.rerun span')].filter(e => e.innerText.length < 30)"
    cut = (
        f"{texts}.filter(e => e.offsetHeight > 1.5 * parseFloat(getComputedStyle(e).lineHeight)).map(e => e.innerText)"
    )
    read = "return [...document.querySelectorAll('.rerun')].map(e => e.innerText).filter(text => /\\n/.test(text))"

    assert browser.execute_script(cut) == []
    assert browser.execute_script(read) == []  # what is copied is one line


def test_pictures_leave_no_gap_below_a_low_one(shown):
    browser = shown(PAGES["does not hold"]())
    boxes = "return [...document.querySelectorAll('.pictures')].map(all => [...all.querySelectorAll('figure')].map(\
        e => e.getBoundingClientRect()).map(box => [box.left, box.top, box.bottom]))"
    gaps = [
        below[1] - above[2]
        for figures in browser.execute_script(boxes)
        for above, below in pairwise(figures)
        if above[0] == below[0]
    ]

    assert gaps
    assert max(gaps) < 2


def test_markup_in_a_text_stays_text(shown):
    browser = shown(PAGES["hostile"]())

    assert browser.execute_script("return document.scripts.length") == 0
    assert browser.title.startswith(f"acme-lm{HOSTILE}")
    assert f"acme-lm{HOSTILE}" in browser.find_element(By.TAG_NAME, "header").text
    assert HOSTILE in browser.find_element(By.TAG_NAME, "main").text


def test_a_script_could_not_run(shown, browser):
    """If one ever came in, the page itself forbids it."""
    html = reports.passing().to_html().replace("</main>", "<script>document.title = 'taken'</script></main>")
    title = shown(html).title

    assert title == "acme-lm: PASS"
    (refused,) = browser.get_log("browser")
    assert "Content Security Policy" in refused["message"]


def test_a_fold_opens_by_the_mouse_and_by_the_keys(shown):
    browser = shown(PAGES["does not hold"]())
    fold = browser.find_element(By.CSS_SELECTOR, "tr.more details")
    summary = fold.find_element(By.TAG_NAME, "summary")
    inside = fold.find_element(By.CLASS_NAME, "inside")
    states = [inside.is_displayed()]
    summary.click()
    states.append(inside.is_displayed())
    summary.send_keys(Keys.ENTER)
    states.append(inside.is_displayed())

    assert states == [False, True, False]


def test_the_first_key_leads_past_the_heading(shown):
    browser = shown(PAGES["holds"]())
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    first = browser.switch_to.active_element

    assert first.text == "Skip to what was found"
    assert first.is_displayed()


def test_a_row_of_the_table_unfolds_below_itself_on_a_phone_too(shown):
    for size in (WIDE, NARROW):
        browser = shown(PAGES["holds"](), size)
        rows = browser.find_elements(By.CSS_SELECTOR, ".checks > tbody:has(summary)")
        tops = [row.rect["y"] for row in rows]
        rows[0].find_element(By.TAG_NAME, "summary").click()

        assert len(rows) == 2
        assert rows[0].find_element(By.CLASS_NAME, "inside").is_displayed()
        assert [row.rect["y"] > top for row, top in zip(rows, tops, strict=True)] == [False, True]


def test_pictures_are_drawn_in_the_colours_of_the_look(shown):
    colours = set()
    for look in ("light", "dark"):
        browser = shown(PAGES["does not hold"](), look=look)
        text = browser.find_element(By.CSS_SELECTOR, "svg.plot text")
        colours.add(text.value_of_css_property("fill"))

        assert len(browser.find_elements(By.CSS_SELECTOR, "svg.plot")) >= 6

    assert len(colours) == 2


def test_on_paper_every_fold_is_open(shown):
    browser = shown(PAGES["does not hold"](), medium="print")
    closed = "return [...document.querySelectorAll('details > :not(summary)')].filter(e => !e.checkVisibility()).length"
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})

    assert browser.execute_script(closed) == 0
    assert printed["data"]
