"""The page about Keras on JAX is true; its last part is two processes, one of them with TensorFlow."""

import pytest

from tests.test_docs import DOCS, Project, blocks


@pytest.mark.filterwarnings("ignore")  # libraries give warnings of their own
def test_the_page_about_jax_is_true(monkeypatch, tmp_path):
    project, text = Project(monkeypatch, tmp_path), (DOCS / "jax.md").read_text()
    both = text.index("## On TensorFlow and on JAX")
    for language, block in blocks("jax.md"):
        if text.index(block) < both:
            project.do(language, block)
