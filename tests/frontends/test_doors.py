"""The ways in: a demonstration, files of one side alone, a notebook."""

import re

from parity import reference


def test_the_demo_shows_both_files_and_finds_its_bug(here, monkeypatch):
    """Found is what it promises, so it exits 0; 1 where what is found is something else."""
    status, out, err = here("demo", "--html", "demo.html")

    assert (status, err) == (0, "")
    for side, line in (("torch", "nn.LayerNorm(7)"), ("tensorflow", "keras.layers.LayerNormalization()")):
        assert f'parity/reference/demo/{side}.py\n   1  """' in out
        assert f"  12          self.norm = {line}\n" in out
        assert re.search(rf"parity/reference/demo/{side}\.py:17: x = self\.norm\(x\)$", out, re.MULTILINE)
    assert "forward: outputs differ, max |diff| " in out
    assert "the planted bug was found: epsilon=1e-05 in LayerNormalization norm" in out
    monkeypatch.setattr(reference.demo, "WHERE", "head")
    assert here("demo", "--quiet") == (1, "the planted bug was not found\n", "")
