"""What is no plain file, or asks for more than it is: one line, before anything is read, built or run."""

import json
import os
import random
import socket
import zipfile
from collections import OrderedDict

import h5py
import numpy as np
import pytest

from benchmarks import corruptions, fuzz
from parity import files
from parity.backends import optimizer_state
from parity.backends.torch import pickled
from parity.errors import ParityError
from parity.frontends import config
from parity.gate import baseline
from parity.inputs.tokenizer import Tokenizer
from parity.report import gate

READERS = {
    "tokenizer": Tokenizer.load,
    "text": files.read_texts,
    "settings": lambda path: config.load(path.parent),
    "baseline": baseline.read,
    "report": lambda path: gate.compare(path, path, None),
    "state": lambda path: optimizer_state.load(path, [], {}),
}
PLACES = {"settings": "pyproject.toml"}


def pipe(path):
    os.mkfifo(path)


def endless(path):
    path.symlink_to("/dev/zero")


def listening(path):
    os.chdir(path.parent)  # a socket's path has a hundred characters at most
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


def larger_than_is_read(path):
    with path.open("wb") as file:
        file.truncate(files.MOST + 1)  # takes no room on the disk


@pytest.mark.parametrize("kind", [pipe, endless, listening, larger_than_is_read])
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_plain_file_is_refused_at_once(name, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / PLACES.get(name, "file")
    kind(path)
    if name == "settings" and kind is not larger_than_is_read:
        assert config.load(tmp_path / "below") == config.Config(directory=tmp_path / "below")  # no file: none is set
        return
    told = "has |is not a regular file; give another name$|cannot be read "
    with pytest.raises(ParityError, match=f"^{path}: ({told})") as caught:
        READERS[name](path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("side", "suffix"), [("torch", ".pth"), ("torch", ".safetensors"), ("tensorflow", ".keras")])
@pytest.mark.parametrize("kind", [pipe, endless, larger_than_is_read])
def test_a_model_that_is_no_plain_file_is_refused_at_once(side, suffix, kind, tmp_path, tiny_of):
    tiny, path = tiny_of(side), tmp_path / f"model{suffix}"
    kind(path)

    assert tiny.refusal(tiny.build(), path).startswith(("is not a regular file", "has 2,147,483,649 bytes"))


def packed(path, size):
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more", bytes(size))


@pytest.mark.parametrize(("side", "suffix"), [("torch", ".pth"), ("tensorflow", ".keras")])
def test_what_comes_out_of_a_zip_is_counted_before_it_does(side, suffix, tmp_path, tiny_of, monkeypatch):
    tiny, path = tiny_of(side), tmp_path / f"model{suffix}"
    tiny.formats.save(tiny.build(), path)
    monkeypatch.setattr(files, "MOST", 2**22)
    packed(path, 2**23)

    assert path.stat().st_size < 2**22
    assert "bytes when unpacked; parity reads 4,194,304 at most" in tiny.refusal(tiny.build(), path)


VALUES = {
    "a number": (5, "0.a.bias is no tensor (int), but should be (3,) torch.float32"),
    "a text": ("five", "0.a.bias is no tensor (str), but should be"),
    "nothing": (None, "0.a.bias is no tensor (NoneType), but should be"),
    "a dictionary": ({"x": 1}, "0.a.bias is no tensor (dict), but should be"),
    "an array": (np.zeros(3, np.float32), "cannot be read as a torch model; save it again"),
    "bytes": (bytearray(3), "cannot be read as a torch model; save it again"),
}


@pytest.mark.parametrize(("value", "told"), VALUES.values(), ids=VALUES)
def test_a_value_that_is_no_tensor_is_refused(value, told, tmp_path, tiny_of):
    import torch

    tiny, path = tiny_of("torch"), tmp_path / "model.pth"
    torch.save({**tiny.build().state_dict(), "0.a.bias": value}, path)

    assert tiny.refusal(tiny.build(), path).startswith(told)


@pytest.mark.parametrize("elsewhere", [lambda tensor: tensor.to_sparse(), lambda tensor: tensor.to("meta")])
def test_a_tensor_that_has_its_values_elsewhere_is_refused(elsewhere, tmp_path, tiny_of):
    import torch

    tiny, path = tiny_of("torch"), tmp_path / "model.pth"
    torch.save({**tiny.build().state_dict(), "0.a.bias": elsewhere(torch.zeros(3))}, path)

    assert tiny.refusal(tiny.build(), path) == "cannot be read as a torch model; save it again"


def test_a_pth_of_every_dtype_and_layout_is_read_as_torch_reads_it(tmp_path):
    import torch

    from parity.backends.torch import formats

    module = torch.nn.BatchNorm1d(3)
    tied = torch.arange(12.0).reshape(3, 4)
    values = {"tied": tied, "turned": tied.t(), "part": tied[1:, 2]}
    values |= {"none": torch.zeros(0, 4), "one": torch.tensor(2.5)}
    for dtype in (*formats.STORED.values(), torch.uint16, torch.float8_e4m3fn):
        values[str(dtype)] = torch.ones(2, 3).to(dtype)
    path, kept = tmp_path / "model.pth", OrderedDict(module.state_dict(), **values)
    kept._metadata = module.state_dict()._metadata
    torch.save(kept, path)
    found, expected = formats._read_pickle(path), torch.load(path, weights_only=True)

    assert list(found) == list(expected)
    assert found._metadata == expected._metadata == kept._metadata
    for name, value in expected.items():
        assert (found[name].dtype, found[name].stride()) == (value.dtype, value.stride()), name
        assert torch.equal(found[name].to(torch.complex64), value.to(torch.complex64)), name


def test_a_storage_that_is_shorter_than_it_says_is_refused(tmp_path, tiny_of):
    """torch would read what lies behind it in memory."""
    tiny, path = tiny_of("torch"), tmp_path / "model.pth"
    tiny.formats.save(tiny.build(), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if name.endswith("data/0"))
    members[name] = members[name][:-4]
    path.write_bytes(corruptions.packed(members, random.Random(0)))

    assert tiny.refusal(tiny.build(), path) == "cannot be read as a torch model; save it again"


PROGRAMS = {
    "a call": (b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "does not call Global"),
    "a system call": (b"cos\nsystem\n(S'true'\ntR.", "has no STRING"),
    "a name from the stack": (b"\x8c\x02os\x8c\x06system\x93.", "has no SHORT_BINUNICODE"),
    "an item of what is no list": (b"\x80\x02)Na.", "that is no list"),
    "a name that is no text": (b"\x80\x02}))\x86)s.", "a name is neither text nor a number"),
    "nothing to take": (b"\x80\x02\x85.", "nothing is left to take"),
    "an end too early": (b"\x80\x02}", "exhausted"),
}


@pytest.mark.parametrize(("program", "told"), PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_in_a_pickle_is_not_run(program, told):
    with pytest.raises(ValueError, match=told):
        pickled.read(program)


def reconfigured(path, change):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    document = json.loads(members["config.json"])
    change(document["config"]["layers"])
    members["config.json"] = json.dumps(document).encode()
    path.write_bytes(corruptions.packed(members, random.Random(0)))


def test_a_configuration_that_asks_for_more_than_the_model_has_is_refused_before_it_is_made(tmp_path, tiny_of):
    tiny, path = tiny_of("tensorflow"), tmp_path / "model.keras"
    tiny.formats.save(tiny.build(), path)
    reconfigured(path, lambda layers: layers[-1]["config"].update(units=10**12))

    assert tiny.refusal(tiny.build(), path) == (
        "asks for a variable of shape (3, 1000000000000); the model has 24 numbers in all"
    )


def unwritten(stored, place):
    stored.create_dataset(place, (3, 3), "float32", chunks=(30_000, 30_000), maxshape=(None, None))


def virtual(stored, place):
    layout = h5py.VirtualLayout((3, 3), "float32")
    layout[:] = h5py.VirtualSource("other.h5", "secret", (3, 3))
    stored.create_virtual_dataset(place, layout)


@pytest.mark.parametrize("kind", [unwritten, virtual])
def test_an_array_that_is_not_stored_as_it_is_is_refused(kind, tmp_path, tiny_of):
    tiny, path = tiny_of("tensorflow"), tmp_path / "model.weights.h5"
    tiny.formats.save(tiny.build(), path)
    with h5py.File(path, "r+") as stored:
        del stored["layers/dense/vars/0"]
        kind(stored, "layers/dense/vars/0")

    assert tiny.refusal(tiny.build(), path).endswith("(an array is not stored as Keras stores it)")


def test_names_of_variables_without_end_are_refused(tmp_path, tiny_of):
    tiny, path = tiny_of("tensorflow"), tmp_path / "model.weights.h5"
    tiny.formats.save(tiny.build(), path)
    with h5py.File(path, "r+") as stored:
        del stored[tiny.formats.NAMES]
        stored.create_dataset(tiny.formats.NAMES, (2**40,), "uint8")  # of which none is written
    assert path.stat().st_size < 2**20

    assert tiny.refusal(tiny.build(), path).endswith("(an array is not stored as Keras stores it)")


def test_a_corrupted_file_of_any_kind_is_read_or_refused_in_one_line():
    """A fixed few; `python -m benchmarks.fuzz` tries ten thousand, in a process that may die of one."""
    attempts = list(fuzz.attempts(range(200), []))
    findings = [attempt for attempt in attempts if attempt[2] not in ("", fuzz.BEGUN)]

    assert not findings
    assert len(attempts) == 400


def test_that_the_test_above_can_fail(tmp_path, monkeypatch):
    kind = fuzz.Kind("a.json", b'{"a": [1, 2]}', [corruptions.bytewise], lambda path: json.loads(path.read_text()))
    findings = [fuzz.tried(kind, tmp_path, random.Random(seed)) for seed in range(20)]
    monkeypatch.setattr(fuzz, "SECONDS", -1)
    slow = fuzz.tried(kind._replace(read=lambda _: None), tmp_path, random.Random(0))

    assert any(finding.startswith("JSONDecodeError: ") for finding in findings)
    assert slow == "0 seconds"


def test_what_a_file_is_full_of_is_told_in_one_line_that_steers_no_terminal():
    assert str(ParityError("m.keras: no layer \x1b[31mred\nline")) == "m.keras: no layer \\x1b[31mred line"
