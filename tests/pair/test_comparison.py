"""Two outputs, or two files of arrays: what is said of them with float64 beside them, and what without."""

import io
import sys
import zipfile
from collections import namedtuple

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import parity
from parity import compare
from parity.compare.alone import WORDS
from parity.errors import ParityError
from parity.pair import stored
from parity.report.comparison import STYLES

EXACT = np.arange(1.0, 21.0).reshape(4, 5) / 7
ROUNDED = EXACT.astype(np.float32)
Output = namedtuple("Output", ["logits", "states"])


def off(by, dtype="float32"):
    """The array with one element that is off by so much of it."""
    array = EXACT.astype(dtype)
    array[1, 2] *= 1 + by
    return array


def nan():
    array = ROUNDED.copy()
    array[0, 1] = np.nan
    return array


CASES = {
    "equal bits": (ROUNDED, ROUNDED.copy(), {}, "identical"),
    "an ULP in float32": (ROUNDED, off(2e-7), {}, "undecided"),
    "a tenth in float32": (ROUNDED, off(0.1), {}, "different"),
    "an ULP in float64": (EXACT, off(3e-16, "float64"), {}, "rounding"),
    "a billionth in float64": (EXACT, off(1e-9, "float64"), {}, "different"),
    "float32 beside float64": (ROUNDED, EXACT, {}, "undecided"),
    "an ULP in bfloat16": (torch.tensor(EXACT).bfloat16(), torch.tensor(off(8e-3)).bfloat16(), {}, "undecided"),
    "an ULP in float32, none in float64": (ROUNDED, off(2e-7), {"float64": (EXACT, EXACT)}, "rounding"),
    "an ULP in both": (ROUNDED, off(2e-7), {"float64": (EXACT, off(2e-7, "float64"))}, "different"),
    "one side in float64": (ROUNDED, off(2e-7), {"float64": (None, EXACT)}, "rounding"),
    "NaN on one side": (ROUNDED, nan(), {}, "different"),
    "NaN on both": (nan(), nan(), {}, "identical"),
    "another shape": (ROUNDED, ROUNDED[:3], {}, "different"),
    "other integers": (np.arange(3), np.array([0, 1, 3]), {}, "different"),
    "equal integers": (np.arange(3), np.arange(3), {}, "identical"),
    "integers for numbers": (np.arange(3), np.arange(3.0), {}, "different"),
}


def test_that_empty_arrays_are_equal_proves_nothing_and_is_said():
    nothing, other = np.zeros((0, 3)), np.zeros((0, 4))

    assert compare(nothing, nothing.copy())["output"].message == "output: (0, 3) holds nothing; that proves nothing"
    assert not compare(nothing, nothing.copy()).holds
    assert compare(nothing, nothing.copy()).summary() == "identical, but nothing was compared"
    beside = compare({"x": ROUNDED, "cache": nothing}, {"x": ROUNDED, "cache": nothing})
    assert (beside.holds, beside.summary()) == (True, "identical")
    assert str(beside) == "cache: (0, 3) holds nothing; that proves nothing\nidentical"
    assert compare(nothing, other).word == "different"


@pytest.mark.parametrize("case", CASES)
def test_two_arrays(case):
    first, second, options, word = CASES[case]
    found = parity.compare(first, second, **options)

    assert (found.word, [*found]) == (word, ["output"])
    assert found.holds is (word in ("identical", "rounding"))
    assert bool(found["output"].message) is not found.holds


def test_what_is_told():
    found = parity.compare(ROUNDED, off(0.1), sides=("ours", "theirs"))

    assert repr(found) == "<Comparison of 1 array: different, max |diff| 1.1e-01>"
    assert str(found) == (
        "output (4, 5): ours and theirs differ\n"
        "  mismatched elements: 1 / 20 (5%)\n"
        "  greatest absolute difference: 1.1e-01 at index (1, 2): ours 1.1428571939468384, theirs 1.2571429014205933\n"
        "  greatest relative difference: 9.1e-02 at index (1, 2); 9.59e+05 ULPs\n"
        "  rounding error accounts for at most 1.1e-02\n"
        "different, max |diff| 1.1e-01"
    )
    assert str(parity.compare(ROUNDED, off(2e-7))).splitlines()[-2] == (
        "  in float32 as much as 1.1e-02 may be rounding error, and a bug may be as small; "
        "the same arrays computed in float64 decide it"
    )


def test_nested_outputs_go_by_names_and_places():
    ours, theirs = {"logits": ROUNDED, "states": [ROUNDED, EXACT]}, Output(off(0.1), (ROUNDED, EXACT))
    found = parity.compare(ours, theirs)

    assert {name: of.word for name, of in found.items()} == {
        "logits": "different",
        "['states'][0]": "identical",
        "['states'][1]": "identical",
    }
    assert found.max_abs_diff == found["logits"].figure
    assert str(parity.compare({"a": ROUNDED}, {"b": ROUNDED})).splitlines() == [
        "a is only in a",
        "b is only in b",
        "different",
    ]
    assert not parity.compare((), ()).holds
    assert not parity.compare(ROUNDED[:0], ROUNDED[:0]).holds
    with pytest.raises(KeyError, match="unknown array 'logit'; did you mean logits"):
        found["logit"]
    with pytest.raises(ParityError, match="states is a str, but should be an array of numbers"):
        parity.compare({"states": "text"}, {"states": "text"})


def test_the_function_is_the_room():
    assert compare is parity.compare is sys.modules["parity.compare"]
    assert set(STYLES) == set(WORDS)


def test_two_files(here, project, valid):
    np.savez(project / "a.npz", logits=ROUNDED, ids=np.arange(4))
    save_file({"logits": off(0.1), "ids": np.arange(4)}, project / "b.safetensors")
    np.save(project / "a.npy", EXACT)
    status, out, err = here("compare", "a.npz", "b.safetensors", "--json", "c.json")
    document = valid("compared", (project / "c.json").read_text())

    assert (status, err) == (1, "")
    assert out.splitlines()[0] == "ids     identical               4 elements"
    assert out.splitlines()[1].startswith("logits  different              20 elements  max |diff| 1.1e-01  limit ")
    assert out.splitlines()[-1] == "different, max |diff| 1.1e-01: a.npz and b.safetensors, 2 arrays"
    assert [array["verdict"] for array in document["arrays"]] == ["identical", "different"]
    assert here("compare", "a.npy", "a.npy", "--quiet") == (0, "identical: a.npy and a.npy, 1 array\n", "")
    status, out, _ = here("compare", "a.npz", "a.npz", "--float64", "a.npz", "a.npz", "--quiet")
    assert (status, out[:9]) == (1, "different")  # which are none


def packed(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return stream.getvalue()


def written(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


HUGE = written(np.zeros(9)).replace(b"(9,), }         ", b"(99999999999,), }")
HOSTILE = {
    "a.npz": (b"text", "a.npz: is no .npz file of arrays of numbers (BadZipFile: "),
    "b.npz": (packed(a=b"text"), "b.npz: is no .npz file of arrays of numbers (ValueError: "),
    "c.npy": (HUGE, "c.npy: is no .npy file of arrays of numbers (ValueError: its header does not say what it holds)"),
    "d.npy": (written(np.array([{}]), allow_pickle=True), "d.npy: is no .npy file of arrays of numbers (ValueError: "),
    "e.safetensors": (b"\xff" * 99, "e.safetensors: is no .safetensors file of arrays of numbers (SafetensorError: "),
    "f.txt": (b"text", "f.txt: is no .npz or .npy or .safetensors file"),
    "g.npy": (written(np.array(["text"])), ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_none_is_one_line(name, tmp_path):
    data, message = HOSTILE[name]
    (tmp_path / name).write_bytes(data)
    if not message:
        with pytest.raises(ParityError, match="output is a ndarray, but should be an array of numbers"):
            parity.compare(stored.read(tmp_path / name), 1.0)
        return
    with pytest.raises(ParityError) as caught:
        stored.read(tmp_path / name)

    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(message)
    assert "\n" not in str(caught.value)
