"""The page about shipped files is true, where ONNX Runtime is there; what it says of LiteRT is tried elsewhere."""

import pytest

from tests.test_docs import DOCS, Project, blocks


@pytest.mark.filterwarnings("ignore")  # torch's exporter gives warnings of its own
def test_the_page_about_shipped_files_is_true(monkeypatch, tmp_path):
    project, text = Project(monkeypatch, tmp_path), (DOCS / "shipped-file.md").read_text()
    lite = text.index("## LiteRT")
    for language, block in blocks("shipped-file.md"):
        if text.index(block) < lite:
            project.do(language, block)
