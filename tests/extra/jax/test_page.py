"""The page about Keras on JAX is true; on TensorFlow and on torch, Keras needs processes of its own."""

import os
import re
import subprocess
import sys

import pytest

from tests.test_docs import DOCS, Project, blocks, pattern, plain


@pytest.mark.filterwarnings("ignore")  # libraries give warnings of their own
def test_the_page_about_jax_is_true(monkeypatch, tmp_path):
    project, text = Project(monkeypatch, tmp_path), (DOCS / "jax.md").read_text()
    both = text.index("## On TensorFlow and on JAX")
    for language, block in blocks("jax.md"):
        if text.index(block) < both:
            project.do(language, block)


def test_a_model_of_keras_on_torch_is_a_torch_model(tmp_path):
    text = (DOCS / "jax.md").read_text()
    (_, module), (_, console) = [of for of in blocks("jax.md") if text.index(of[1]) > text.index("## On torch")]
    command, shown = re.match(r"\$ parity (.*)\n", console)[1], console.partition("\n")[2]
    (tmp_path / "on_torch.py").write_text(module)
    checked = subprocess.run(
        [sys.executable, "-m", "parity", *command.split()],
        cwd=tmp_path,
        env=os.environ | {"KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
        timeout=600,
    )

    assert checked.returncode == 0, checked.stderr
    assert re.fullmatch(pattern(shown), plain(checked.stdout)), checked.stdout
