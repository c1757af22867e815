"""`[tool.parity]`: what it sets, where it is found, what overrides it, and the message for every mistake."""

from pathlib import Path

import pytest

from parity.checks import runner
from parity.dtypes import PRECISIONS
from parity.errors import ParityError
from parity.frontends.config import Config, load

WHOLE = """
[project]
name = "acme"

[tool.parity]
pairs = ["acme.models:pair", "gru"]
seed = 3
examples = 7
dtypes = ["bfloat16", "float32", "float64"]
baselines = "tests/baselines"
"""

MISTAKES = {
    "unknown key": (
        "example = 3",
        ": unknown key 'example'; did you mean examples? available: pairs, seed, exam",
    ),
    "nothing like a key": ("tolerance = 1e-4", ": unknown key 'tolerance'; available: pairs, seed, examples, dtypes"),
    "one pair": ('pairs = "lstm"', ": pairs is 'lstm', but should be a list of pairs, such as [\"lstm\", "),
    "no pair": ("pairs = []", ": pairs is [], but should be a list of pairs"),
    "pairs of numbers": ("pairs = [1]", ": pairs is [1], but should be a list of pairs"),
    "seed of text": ('seed = "1"', ": seed is '1', but should be a non-negative integer"),
    "seed below zero": ("seed = -1", ": seed is -1, but should be a non-negative integer"),
    "seed of truth": ("seed = true", ": seed is True, but should be a non-negative integer"),
    "no examples": ("examples = 0", ": examples is 0, but should be a positive integer"),
    "half an example": ("examples = 1.5", ": examples is 1.5, but should be a positive integer"),
    "one dtype": ('dtypes = "float64"', ": dtypes is 'float64', but should be a list of dtypes, such as [\"float64\""),
    "unknown dtype": (
        'dtypes = ["float64", "float32", "float8"]',
        ": dtypes: unknown dtype 'float8'; available: float64, float32, ",
    ),
    "baselines in a list": ('baselines = ["a"]', ": baselines is ['a'], but should be a directory, such as \"tests/b"),
    "no baselines": ('baselines = ""', ": baselines is '', but should be a directory"),
    "a missing dtype": ('dtypes = ["float32"]', ": dtypes: float64 is missing from the dtypes; a verdict needs "),
}

BROKEN = {
    "not TOML": ("[tool.parity\n", "is not TOML: Expected ']' at the end of a table declaration (at line 1, "),
    "nested without end": ("a = " + "[" * 5000, "is not TOML: "),
    "not UTF-8": (b"# caf\xe9\n", "not UTF-8 at byte 5; convert it to UTF-8 first"),
    "no table": ("[tool]\nparity = 3\n", "tool.parity is 3, but should be a table: [tool.parity]"),
}


def put(directory, content):
    path = directory / "pyproject.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def message_of(directory):
    with pytest.raises(ParityError) as caught:
        load(directory)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_all_that_can_be_set(tmp_path):
    put(tmp_path, WHOLE)

    assert load(tmp_path) == Config(
        ("acme.models:pair", "gru"), 3, 7, ("float64", "float32", "bfloat16"), "tests/baselines", directory=tmp_path
    )


@pytest.mark.parametrize("content", [None, "", "[tool.parity]\n", '[project]\nname = "acme"\n', "tool = 3\n"])
def test_what_is_not_set_is_as_ever(content, tmp_path):
    """And as everywhere else: the reference pair, what `parity.check` draws, the two precisions."""
    if content is not None:
        put(tmp_path, content)
    found = load(tmp_path)

    assert found == Config(directory=tmp_path)
    assert (found.pairs, found.seed, found.examples, found.dtypes) == (("lstm",), 0, runner.EXAMPLES, PRECISIONS)


def test_the_nearest_file_is_read_and_no_other(tmp_path):
    put(tmp_path, "[tool.parity]\nseed = 1\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)

    assert (load(below).seed, load(below).directory) == (1, tmp_path)
    put(below.parent, '[project]\nname = "another"\n')
    assert (load(below).seed, load(below).directory) == (0, below.parent)


def test_by_default_it_is_that_of_the_current_directory(tmp_path, monkeypatch):
    put(tmp_path, "[tool.parity]\nseed = 1\n")
    monkeypatch.chdir(tmp_path)

    assert load() == Config(seed=1, directory=Path.cwd())


def test_the_command_line_overrides_what_it_gives_and_nothing_else():
    config = Config(("a", "b"), 3, 7)

    assert config.but(pairs=(), seed=None, examples=None) == config
    assert config.but(pairs=("c",), seed=0, examples=None) == Config(("c",), 0, 7)


@pytest.mark.parametrize(("line", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_with_file_and_key(line, message, tmp_path):
    path = put(tmp_path, f"[tool.parity]\n{line}\n")

    assert message_of(tmp_path).startswith(f"{path}: [tool.parity]{message}")


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_one_line(content, message, tmp_path):
    path = put(tmp_path, content)

    assert message_of(tmp_path).startswith(f"{path}: {message}")


def test_the_command_line_refuses_a_mistake_with_2(parity, tmp_path):
    path = put(tmp_path, "[tool.parity]\nexample = 3\n")
    result = parity("check")

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"parity: {path}: [tool.parity]: unknown key 'example'; did you mean examples? "
        "available: pairs, seed, examples, dtypes, baselines\n"
    )
