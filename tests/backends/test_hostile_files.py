"""Damaged and malicious files of models are refused, and nothing in them is run."""

import contextlib
import hashlib
import json
import os
import struct
import zipfile
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity import backends, reference
from parity.backends import SIDES
from parity.errors import ParityError
from parity.inputs.tokenizer import Tokenizer
from parity.pair import checkpoint
from parity.pair.models import PairModels


class Whole(NamedTuple):
    """A bundle's place, and its files' bytes by name."""

    place: Path
    files: dict[str, bytes]

    def __repr__(self):
        return f"Whole({self.place})"  # Hypothesis prints it: of megabytes nobody would see what failed


@pytest.fixture(scope="module")
def whole(tmp_path_factory, small):
    """A bundle of the LSTM pair in every format."""
    corners = PairModels(reference.pair("lstm", small))
    place = tmp_path_factory.mktemp("whole") / "pair"
    formats = {side: backend.FORMATS for side, backend in corners.backends.items()}
    models = {side: corners.models[side, "float32"] for side in SIDES}
    with checkpoint.writing(place, "lstm", small, models, formats):
        pass
    checkpoint.load(place)  # imports what it needs now: Hypothesis draws from the constants of loaded modules
    return Whole(place, {path.name: path.read_bytes() for path in place.iterdir() if path.name != checkpoint.MANIFEST})


@settings(max_examples=500)
@given(st.data())
def test_the_manifest_tells_any_change_of_any_file(whole, data):
    place, files = whole
    name = data.draw(st.sampled_from(sorted(files)))
    at = data.draw(st.integers(0, len(files[name]) - 1))
    changed = bytearray(files[name])
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    cut = data.draw(st.booleans())
    (place / name).write_bytes(changed[:at] if cut else changed)
    try:
        with pytest.raises(ParityError, match=f"{name}: "):
            checkpoint.load(place)
    finally:
        (place / name).write_bytes(files[name])


def test_a_changed_tokenizer_with_the_same_fingerprint_is_told_too(whole):
    """A byte piece's score of 0 becomes a field that nobody reads: no id and no text is another."""
    place, files = whole
    data = files[checkpoint.TOKENIZER]
    score = data.index(b"<0x33>") + len(b"<0x33>")
    assert data[score] == 0x15  # field 2, four bytes
    changed = data[:score] + b"\x1d" + data[score + 1 :]
    assert Tokenizer(changed).fingerprint == Tokenizer(data).fingerprint

    (place / checkpoint.TOKENIZER).write_bytes(changed)
    try:
        with pytest.raises(ParityError, match=f"{checkpoint.TOKENIZER}: is not the file that was saved; "):
            checkpoint.load(place)
    finally:
        (place / checkpoint.TOKENIZER).write_bytes(data)


@pytest.mark.parametrize("kind", ["flip", "cut", "zeros"])
def test_a_damaged_file_is_refused_or_a_model_without_its_manifest_too(kind, kept):
    """No crash, no hang, no other error. Only formats without a checksum may come back altered."""
    tiny, path, module = kept
    random = np.random.default_rng(7)
    target, own = tiny.build(), tiny.values(module)
    for file in sorted(path.parent.iterdir()):
        whole = file.read_bytes()
        for at in random.integers(len(whole), size=12):
            data = bytearray(whole)
            if kind == "flip":
                data[at] ^= 1 << int(random.integers(8))
            else:
                data[at : at + 16] = bytes(len(data[at : at + 16]))
            file.write_bytes(data[:at] if kind == "cut" else data)
            found, told = own, f"{path}: "
            try:
                found = tiny.values(tiny.formats.load(target, path))
            except ParityError as error:
                told = str(error)
            unharmed = all(np.array_equal(a, b) for a, b in zip(found, own, strict=True))
            assert told.startswith(f"{path}: ")
            assert "\n" not in told
            assert unharmed or path.name.endswith((".safetensors", ".weights.h5"))
        file.write_bytes(whole)


class Boom:
    """Unpickling this makes a directory."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_program_is_never_loaded_from_a_bundle(whole, lstm, tmp_path):
    """torch.export.load would run what it unpickles; a manifest may name such a file, sums and all."""

    import torch

    place, _ = whole
    ran = tmp_path / "ran"
    torch.save({"head.bias": Boom(ran)}, place / "torch.pt2")
    manifest = place / checkpoint.MANIFEST
    before = manifest.read_text()
    forged = json.loads(before)
    forged["models"] = {"torch.pt2": "torch"}
    forged["sha256"]["torch.pt2"] = hashlib.sha256((place / "torch.pt2").read_bytes()).hexdigest()
    manifest.write_text(json.dumps(forged))
    try:
        with pytest.raises(ParityError, match=r"torch\.pt2: is no \.pth or \.safetensors file"):
            checkpoint.load(place).models(lstm.builds)
        assert not ran.exists()
        torch.load(place / "torch.pt2", weights_only=False)
        assert ran.exists()  # so the payload is one
    finally:
        manifest.write_text(before)
        (place / "torch.pt2").unlink()


@pytest.mark.parametrize("name", ["torch.pt2", "tensorflow.saved_model"])
def test_no_backend_loads_a_program_as_a_model(name, tmp_path, lstm):
    side, _, _ = name.partition(".")
    with pytest.raises(ParityError, match=f"{name}: is no "):
        backends.load()[side].load(lstm.builds[side], "float32", 0, tmp_path / name)


def test_a_keras_lambda_is_refused_and_not_run(tmp_path, tiny_of):
    import keras

    tiny, path, ran = tiny_of("tensorflow"), tmp_path / "model.keras", tmp_path / "ran"
    name = str(ran)
    payload = keras.layers.Lambda(lambda x: [open(name, "w").close(), x][1])  # noqa: PTH123 a closure of plain things
    keras.Sequential([keras.Input((3,)), *tiny.build().layers, payload]).save(path)  # with weights that fit
    ran.unlink()  # it was called on the way

    assert tiny.refusal(tiny.build(), path).startswith("cannot be read as a Keras model (")
    assert not ran.exists()
    keras.saving.load_model(path, safe_mode=False)
    assert ran.exists()  # so the payload is one


def rewritten(path, change):
    """The zip with its config changed and members added."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


@pytest.fixture
def keras_file(tmp_path, tiny_of):
    tiny, path = tiny_of("tensorflow"), tmp_path / "inside" / "model.keras"
    path.parent.mkdir()
    tiny.formats.save(tiny.build(), path)
    return tiny, path


def test_a_keras_config_that_names_a_function_is_refused_and_not_run(keras_file, tmp_path):
    tiny, path = keras_file
    ran = tmp_path / "ran"
    call = {"module": "os", "class_name": "mkdir", "registered_name": "mkdir", "config": {"path": str(ran)}}
    rewritten(path, lambda members: members.update({"config.json": json.dumps(call).encode()}))

    assert tiny.refusal(tiny.build(), path).startswith("cannot be read as a Keras model (")
    assert not ran.exists()


@pytest.mark.parametrize("name", ["../ran", "{}/ran", "assets/../../ran"])
def test_a_keras_member_outside_the_file_is_never_written(name, keras_file, names, tmp_path):
    tiny, path = keras_file
    rewritten(path, lambda members: members.update({name.format(tmp_path): b"ran"}))
    with contextlib.suppress(ParityError):  # refused, or read without it
        tiny.formats.load(tiny.build(), path)

    assert names(tmp_path) == ["inside"]
    assert names(path.parent) == ["model.keras"]


def test_a_keras_file_whose_weights_are_of_another_precision_is_refused_not_cast(keras_file, tmp_path):
    tiny, path = keras_file
    wide = tmp_path / "wide.weights.h5"
    tiny.build(dtype="float64").save_weights(wide)
    rewritten(path, lambda members: members.update({"model.weights.h5": wide.read_bytes()}))

    assert tiny.refusal(tiny.build(), path) == (
        "holds layers/dense/vars/0 (3, 3) float64, but should hold layers/dense/vars/0 (3, 3) float32"
    )


LIES = {
    "longer than the file": lambda size, header: (size * 1000, header),
    "of 2^63 bytes": lambda _, header: (2**63, header),
    "no JSON": lambda size, _: (size, b"{" * size),
    "offsets behind the end": lambda size, header: (size, header.replace(b"[0,", b"[9,")),
    "another shape": lambda size, header: (size, header.replace(b"[3,3]", b"[3,9]")),
    "another dtype": lambda size, header: (size, header.replace(b'"F32"', b'"F64"')),
    "a shape that overflows": lambda _, header: (
        len(header) + 18,
        header.replace(b"[3,3]", b"[9223372036854775807,3]", 1),
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_safetensors_header_that_lies_is_refused(lie, tmp_path, tiny_of):
    tiny, path = tiny_of("torch"), tmp_path / "model.safetensors"
    tiny.formats.save(tiny.build(), path)
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    told, header = LIES[lie](size, data[8 : 8 + size])
    path.write_bytes(struct.pack("<Q", told) + header + data[8 + size :])

    assert tiny.refusal(tiny.build(), path) == "cannot be read as a torch model; save it again"


H5_LINKS = {
    "external link": lambda stored, place, other: stored.__setitem__(place, h5py.ExternalLink(other, "secret")),
    "soft link": lambda stored, place, _: stored.__setitem__(place, h5py.SoftLink("/layers/dense_1/vars/0")),
    "external data": lambda stored, place, other: stored.create_dataset(
        place, (3, 3), "float32", external=[(str(other) + ".raw", 0, 36)]
    ),
}


@pytest.mark.parametrize("kind", H5_LINKS)
def test_an_h5_that_points_elsewhere_is_refused(kind, tmp_path, tiny_of):
    """Another file's content must not come in as weights."""
    tiny, path, other = tiny_of("tensorflow"), tmp_path / "model.weights.h5", tmp_path / "other.h5"
    tiny.formats.save(tiny.build(), path)
    with h5py.File(other, "w") as secret:
        secret["secret"] = np.ones((3, 3), np.float32)
    (tmp_path / "other.h5.raw").write_bytes(bytes(36))
    with h5py.File(path, "r+") as stored:
        del stored["layers/dense/vars/0"]
        H5_LINKS[kind](stored, "layers/dense/vars/0", other)
        assert stored["layers/dense/vars/0"].shape == (3, 3)  # so it can be followed

    told = "cannot be read as a Keras model (" if kind == "external data" else "holds layers/dense/vars/1 "
    assert tiny.refusal(tiny.build(), path).startswith(told)
