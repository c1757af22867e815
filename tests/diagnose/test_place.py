"""parity.locate: where two models part, as one thing that can be shown and saved."""

import json

import parity
from parity.reference import demo


def test_a_place_says_where_and_why_and_can_be_shown_and_saved(tmp_path, valid):
    found = parity.locate(demo.pair())
    found.save(tmp_path / "place.json")
    found.save(tmp_path / "place.html")

    assert (found.holds, found.where, [cause.name for cause in found.causes]) == (False, ("norm",), ["epsilon"])
    assert repr(found) == "<Place of demo: norm introduces a difference>"
    assert "fix: epsilon=1e-05 in LayerNormalization norm" in str(found)
    assert found._repr_html_().startswith("<iframe srcdoc=")
    assert json.loads((tmp_path / "place.json").read_text())["command"] == "parity.locate(pair, seed=0)"
    assert "Both runs, operation by operation" in (tmp_path / "place.html").read_text()
    valid("located", found.to_json())
