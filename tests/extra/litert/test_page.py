"""What the page about shipped files says of LiteRT is true, where its runtime is there."""

import sys

from parity import api
from parity.backends import load
from tests.test_docs import DOCS, Project, blocks


def test_the_page_about_shipped_files_is_true(monkeypatch, tmp_path):
    load()  # as the command line does, before a user's module
    project, text = Project(monkeypatch, tmp_path), (DOCS / "shipped-file.md").read_text()
    for language, block in blocks("shipped-file.md"):
        if block.startswith("# shipped.py") or text.index(block) > text.index("## LiteRT"):
            project.do(language, block)

    assert api.check(sys.modules["lite"].pair, examples=2, checks=["forward", "batching"]).holds
    programs = sys.modules["programs"]
    exported, served = (api.check(of, examples=2, checks=["forward"]) for of in (programs.exported, programs.served))
    assert exported.holds
    assert served.holds
    assert not exported.weaker
    assert "saved cannot run in float64" in served.weaker
