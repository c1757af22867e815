"""Bundles: a tokenizer that is not the models' own, a changed file, a foreign directory."""

import json
from pathlib import Path

import numpy as np
import pytest

from parity.backends import SIDES
from parity.errors import ParityError
from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.pair import checkpoint

FORMATS = {"torch": (".pth", ".safetensors"), "tensorflow": (".keras", ".weights.h5")}


@pytest.fixture
def saved(tmp_path, corners):
    models = {side: corners.models[side, "float32"] for side in SIDES}
    save(tmp_path / "pair", corners.tokenizer, models)
    return tmp_path / "pair"


def save(place, tokenizer, models):
    with checkpoint.writing(place, "lstm", tokenizer, models, FORMATS):
        pass


def refusal(path):
    with pytest.raises(ParityError) as caught:
        checkpoint.load(path)

    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(path))


def test_a_bundle_comes_back(saved, corners, names):
    found = checkpoint.load(saved)
    ids = np.array([[4, 5, 6]])

    assert found.pair == "lstm"
    assert found.tokenizer.fingerprint == corners.tokenizer.fingerprint
    for side, model in found.models(corners.pair.builds).values():
        np.testing.assert_array_equal(model.logits(ids), corners.models[side, "float32"].logits(ids))
    assert len(found.models(corners.pair.builds)) == 4
    assert names(saved.parent) == ["pair"]


def test_another_tokenizer_is_refused(saved):
    other = fixture("tokenizer/stdlib-64000.model")
    (saved / "tokenizer.model").write_bytes(other.read_bytes())
    message = refusal(saved)

    assert message.startswith(f"/tokenizer.model: fingerprint {Tokenizer.load(other).fingerprint[:12]}, but the models")
    assert message.endswith("put that tokenizer back")


@pytest.mark.parametrize("name", ["torch.pth", "torch.safetensors", "tensorflow.keras", "tensorflow.weights.h5"])
@pytest.mark.parametrize("change", ["flipped", "cut", "gone"])
def test_a_changed_model_is_refused(name, change, saved):
    data = bytearray((saved / name).read_bytes())
    data[len(data) // 2] ^= 1
    if change == "gone":
        (saved / name).unlink()
    else:
        (saved / name).write_bytes(data if change == "flipped" else data[:-100])

    assert refusal(saved).startswith(f"/{name}: ")


@pytest.mark.parametrize("name", ["torch.pth", "torch.safetensors", "tensorflow.keras", "tensorflow.weights.h5"])
@pytest.mark.parametrize("data", [b"", b"garbage", None], ids=["empty", "garbage", "cut"])
def test_a_corrupt_model_is_one_clear_line(name, data, saved, corners):
    """The same without the manifest's protection: the reader's own error never comes through."""
    path = saved / name
    path.write_bytes(path.read_bytes()[:-2000] if data is None else data)
    side = name.partition(".")[0]
    with pytest.raises(ParityError, match=rf"^{path}: cannot be read as a (torch|Keras) model[^\n]*$"):
        corners.backends[side].load(corners.pair.builds[side], "float32", 0, path)


class Boom:
    """Unpickling this creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_malicious_pickle_is_refused_and_not_run(saved, corners, tmp_path):
    import torch

    torch.save({"head.bias": Boom(tmp_path / "ran")}, saved / "torch.pth")
    with pytest.raises(ParityError, match="cannot be read"):
        corners.backends["torch"].load(corners.pair.torch, "float32", 0, saved / "torch.pth")

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("side", SIDES)
def test_a_model_of_another_shape_is_refused(side, saved, corners, small):
    """Its first unfitting parameter is named, with both shapes."""
    from parity.reference import lstm, twins

    wider = lstm.Config(small.vocab, width=65)
    build = twins.twins(lstm.__name__, "LanguageModel", wider)[side]
    path = saved / f"{side}{FORMATS[side][0]}"
    with pytest.raises(ParityError, match=r"embedding.*\(1000, 64\).*, but should .*\(1000, 65\)"):
        corners.backends[side].load(build, "float32", 0, path)


MANIFESTS = {
    "a model without a file": json.dumps(
        {
            "schema": 1,
            "pair": "lstm",
            "tokenizer": "",
            "models": {"x.ckpt": "tensorflow"},
            "sha256": {"y.ckpt.index": ""},
        }
    ),
    "no JSON": "{",
    "a list": "[]",
    "another schema": json.dumps({"schema": 99, "pair": "lstm", "tokenizer": "", "models": {}, "sha256": {}}),
    "a path out of it": json.dumps(
        {"schema": 1, "pair": "lstm", "tokenizer": "", "models": {"../x.pth": "torch"}, "sha256": {"../x.pth": ""}}
    ),
    "an unknown side": json.dumps(
        {"schema": 1, "pair": "lstm", "tokenizer": "", "models": {"x.pth": "jax"}, "sha256": {"x.pth": ""}}
    ),
}


@pytest.mark.parametrize("text", MANIFESTS.values(), ids=MANIFESTS)
def test_a_foreign_manifest_is_refused(text, saved):
    (saved / "parity.json").write_text(text)

    assert refusal(saved) == "/parity.json: is not a parity manifest; train again or copy it again"


def test_a_directory_that_is_no_bundle_is_refused(tmp_path):
    assert refusal(tmp_path).startswith(": has no parity.json")
    assert refusal(tmp_path / "missing").startswith(": is not a directory")


def test_nothing_else_is_ever_overwritten(tmp_path, corners, names):
    (tmp_path / "thesis.txt").write_text("years of work")
    for place in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(ParityError, match="exists and is not a trained pair"):
            save(place, corners.tokenizer, {})

    assert names(tmp_path) == ["thesis.txt"]


def test_a_file_beside_a_bundles_own_is_never_overwritten(saved, corners):
    (saved / "thesis.txt").write_text("years of work")
    with pytest.raises(ParityError, match="exists and is not a trained pair alone"):
        save(saved, corners.tokenizer, {})

    assert (saved / "thesis.txt").read_text() == "years of work"


def test_a_report_of_that_name_makes_no_bundle(tmp_path, corners):
    (tmp_path / "parity.json").write_text('{"schema": 1, "holds": true}')
    with pytest.raises(ParityError, match="exists and is not a trained pair alone"):
        save(tmp_path, corners.tokenizer, {})


def test_the_directory_one_stands_in_is_not_replaced(tmp_path, corners, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParityError, match="is in use"):
        save(Path(), corners.tokenizer, {})


def test_a_name_that_no_file_may_have_is_refused_at_once(tmp_path):
    with pytest.raises(ParityError, match="cannot be written"):
        checkpoint.check_place(tmp_path / ("x" * 300))


def test_a_bundle_is_replaced_whole(saved, corners, names):
    save(saved, corners.tokenizer, {})

    assert names(saved) == ["parity.json", "tokenizer.model"]
    assert names(saved.parent) == ["pair"]


def test_an_error_before_the_end_keeps_the_old_bundle(saved, corners, names):
    def fail():
        with checkpoint.writing(saved, "lstm", corners.tokenizer, {}, {}) as written:
            assert written != saved
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert len(checkpoint.load(saved).models(corners.pair.builds)) == 4
    assert names(saved.parent) == ["pair"]
