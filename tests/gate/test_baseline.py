"""Baselines as files: whole or not at all, however a run ends; what was touched is refused with the line at fault."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from parity.errors import ParityError
from parity.gate.baseline import NEW, Baseline, place, read, write

DOCUMENT = {
    "schema": 1,
    "baseline": "acme:pair",
    "report": {"checks": [{"name": "forward", "verdict": "rounding", "elements": 17}]},
    "texts": {"two  lines\n  of [text]": [5, 6, 7]},
    "history": [],
}

# Without a framework: it forks.
TOGETHER = """
import os, sys
from pathlib import Path
import numpy as np
from parity.gate.baseline import Baseline, read, write

path = Path(sys.argv[1])

def state(number):
    return Baseline({"schema": 1, "baseline": "b", "number": number}, {"golden": np.full(5000, number, np.float64)})

children = []
for number in (1, 2):
    write(path, state(0))
    children.append(os.fork())
    if not children[-1]:
        for _ in range(40):
            write(path, state(number))
        os._exit(0)
for _ in range(200):
    found = read(path)
    assert (found.arrays["golden"] == found.document["number"]).all()
print(*(os.waitpid(child, 0)[1] for child in children), len(os.listdir(path.parent)))
"""


@pytest.fixture
def written(tmp_path):
    """A baseline on disk: its path."""
    path = place(tmp_path, "acme:pair")
    write(path, Baseline(DOCUMENT, {"torch logits": np.array([0.5, -1.25]), "torch greedy tokens": np.array([3, 1])}))
    return path


def refusal(path):
    with pytest.raises(ParityError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(path.parent) + "/")


def test_what_was_written_is_read_again(written):
    found = read(written)

    assert written.name == "acme.pair.json"
    assert found.document == DOCUMENT
    assert {name: array.tolist() for name, array in found.arrays.items()} == {
        "torch logits": [0.5, -1.25],
        "torch greedy tokens": [3, 1],
    }


def test_it_is_for_people_a_line_a_fact(written):
    text = written.read_text()

    assert '    "two  lines\\n  of [text]": [5, 6, 7]\n' in text
    assert '        "elements": 17\n' in text
    assert json.loads(text)["history"] == []


EDITS = {
    "another figure": ('"elements": 17', '"elements": 16', '"elements": 16'),
    "a verdict": ('"rounding"', '"identical"', '"verdict": "identical",'),
    "a line less": ('        "verdict": "rounding",\n', "", '"elements": 17'),
    "a line more": ('  "history": []', '  "mine": 1,\n  "history": []', '"mine": 1,'),
    "another layout": ('  "history"', '    "history"', '"history": [],'),
}


@pytest.mark.parametrize(("old", "new", "told"), EDITS.values(), ids=EDITS)
def test_an_edit_by_hand_is_refused_with_its_line(old, new, told, written):
    text = written.read_text().replace(old, new, 1)
    written.write_text(text)
    line = next(n for n, found in enumerate(text.split("\n"), 1) if found.strip() == told)

    assert refusal(written) == (
        f"acme.pair.json: line {line} was changed by hand ({told!r}); "
        "put the file back as it was, or delete it and run parity bless again"
    )


def test_another_digit_in_the_seal_is_refused(written):
    text = written.read_text()
    written.write_text(re.sub(r'("seal": ")(.)', lambda m: m[1] + ("0" if m[2] != "0" else "1"), text))

    assert f"line {text.count(chr(10)) - 1} was changed by hand" in refusal(written)


def test_wherever_it_is_cut_short_it_is_refused(written):
    data = written.read_bytes()
    for size in range(len(data)):
        written.write_bytes(data[:size])
        assert re.match(r"acme.pair.json: line \d+ (is no JSON|is not the end)", refusal(written)), size


FOREIGN = {
    "a merge": (">>>>>>> theirs", "line 1 is no JSON (Expecting value)"),
    "another document": ('{"holds": true}', "line 1 is no baseline of parity"),
    "a list": ("[1, 2]", "line 1 is no baseline of parity"),
    "nested without end": ("[" * 100_000, "line 1 is no baseline of parity"),
    "no seal": ('{"baseline": "a", "schema": 1, "seal": ""}', "line 1 is not the end of a baseline of parity"),
    "a later schema": (
        '{"baseline": "a",\n "schema": 2, "seal": ""}',
        "line 2 says schema 2, which this parity does not know; it knows 1",
    ),
}


@pytest.mark.parametrize(("text", "told"), FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_refused_with_its_line(text, told, written):
    written.write_text(text)

    assert refusal(written).startswith(f"acme.pair.json: {told}")


def test_other_golden_values_than_those_that_were_blessed_are_refused(written):
    (beside,) = written.parent.glob("*.safetensors")
    beside.write_bytes(beside.read_bytes()[:-1] + b"\1")

    assert refusal(written).startswith(f"{beside.name}: is not the file that was accepted with acme.pair.json; put ")
    beside.unlink()
    assert refusal(written) == f"{beside.name}: cannot be read (No such file or directory)"


def test_replacing_one_leaves_no_golden_values_behind_but_those_of_others(written):
    other = place(written.parent, "acme:pair2")
    write(other, Baseline(DOCUMENT, {"torch logits": np.zeros(3)}))
    write(written.with_name(written.name + NEW), Baseline(DOCUMENT, {"torch logits": np.ones(3)}))
    names = {path.name for path in written.parent.iterdir()}
    assert len(names) == 6
    write(written, Baseline(DOCUMENT, {"torch logits": np.ones(4)}), read(written).seal)

    assert {path.suffix for path in written.parent.iterdir()} == {".json", ".safetensors"}
    assert len(list(written.parent.iterdir())) == 4
    assert read(written).arrays["torch logits"].shape == (4,)
    assert read(other).arrays["torch logits"].shape == (3,)


def test_what_somebody_else_blessed_meanwhile_is_not_lost(written):
    before = read(written)
    write(written, Baseline(DOCUMENT | {"history": ["theirs"]}, before.arrays), before.seal)
    with pytest.raises(ParityError, match="another was accepted meanwhile; look at it, then try again"):
        write(written, Baseline(DOCUMENT | {"history": ["ours"]}, before.arrays), before.seal)

    assert read(written).document["history"] == ["theirs"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ParityError, match=r"file: cannot be made a directory \(File exists\)"):
        write(tmp_path / "file" / "a.json", Baseline(DOCUMENT))


def run(script, *args):
    command = [sys.executable, "-c", script, *map(str, args)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_two_at_once_leave_one_of_theirs(tmp_path):
    assert run(TOGETHER, tmp_path / "a.json") == ["0", "0", "2"]
