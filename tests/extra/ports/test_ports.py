"""KerasHub's converters on tiny random models of Hugging Face: `tox -e ports`. A finding that is new, or gone, fails.

In an environment of its own, because both libraries bring the full tensorflow package.
"""

import pytest
from click.testing import CliRunner

from benchmarks.census import Found, judged, page
from benchmarks.families import EXPECTED, FAMILIES, PORT
from parity.frontends import cli
from parity.frontends.ported import configuration

LONGEST = 60  # seconds of processor time of one converter
NAMED = {family.name: family for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_converter_is_what_it_was(family, tmp_path):
    found, expected = judged(family, tmp_path), EXPECTED[family.name]

    assert (found.verdict, found.place, found.dropped) == (expected.verdict, expected.place, expected.dropped)
    assert expected.cause in found.cause
    assert found.seconds < LONGEST


def test_as_many_converters_as_are_promised():
    assert len(FAMILIES) >= 20
    assert {*EXPECTED} == {*NAMED}


@pytest.mark.parametrize("name", NAMED)
def test_what_reproduces_a_finding_is_short(name):
    assert len(NAMED[name].script.splitlines()) + 1 <= 15


def test_the_page_has_a_row_and_a_script_for_each():
    found = [Found(NAMED["gpt2"], "equal"), Found(NAMED["llama"], "different", "norm", "epsilon", ("rms_norm_eps",))]
    text = page(found)

    assert "| `llama` | different | norm | epsilon | `rms_norm_eps` |  |" in text
    assert "### gpt2" not in text
    assert f"parity port llama {PORT} --settings" in text


def test_a_folder_is_judged_and_its_settings_by_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    NAMED["gpt2"].save(tmp_path / "gpt2")
    command = ["port", "gpt2", PORT, "--examples", "1", "--check", "forward", "--settings"]
    result = CliRunner().invoke(cli.cli, command, standalone_mode=False)

    assert result.exception is None
    assert "parameters were made from the source's" in result.stdout
    assert "PASS: models match" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("FAIL: 2 of ")
    assert result.return_value == 1
    assert configuration(tmp_path / "gpt2")["n_head"] == 2


def test_a_preset_is_judged_beside_its_folder(tmp_path):
    import keras_hub

    NAMED["gpt2"].save(tmp_path / "gpt2")
    keras_hub.models.Backbone.from_preset(str(tmp_path / "gpt2")).save_to_preset(str(tmp_path / "preset"))
    command = ["port", str(tmp_path / "gpt2"), str(tmp_path / "preset"), "--examples", "1", "--check", "forward"]
    result = CliRunner().invoke(cli.cli, command, standalone_mode=False)

    assert result.exception is None
    assert result.return_value == 0
