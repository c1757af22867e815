"""parity train and parity generate, as a user runs them: together, alone, again, and killed half-way."""

import os
import shutil
import signal
import threading
import time

import pytest

from parity.backends import process
from parity.errors import ParityError
from parity.inputs.specimens import fixture
from tests.helpers import forks

TRAIN = ("train", "--text", "corpus.txt", "--tokenizer", "small.model", "--out", "lm")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, furnish):
    """A directory with a pair that was trained once, and what the training printed."""
    directory = tmp_path_factory.mktemp("trained")
    furnish(directory)
    result = forks.run("parity", *TRAIN, "--steps", 12, cwd=directory)
    result.check_returncode()
    return directory, result


def test_train_shows_both_losses_and_proves_the_reload(trained, names):
    directory, result = trained
    lines = result.stdout.splitlines()

    assert result.stderr == ""
    assert [line.split()[:2] for line in lines[2:5]] == [["step", "1"], ["step", "2"], ["step", "3"]]
    assert float(lines[-3].split()[3]) < float(lines[2].split()[3])
    assert float(lines[-3].split()[5]) < float(lines[2].split()[5])
    assert lines[-1].startswith("reloaded    in a fresh process: identical bits in ")
    assert names(directory / "lm") == ["parity.json", "tensorflow.keras", "tokenizer.model", "torch.pth"]


def test_generate_shows_both_sides(here, trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    status, out, err = here("generate", "lm", "The river", "--tokens", 9)
    shown = [line.split(None, 1) for line in out.splitlines()]

    assert (status, err) == (0, "")
    assert [words[0] for words in shown[:3]] == ["prompt", "torch", "tensorflow"]
    assert shown[1][1] == shown[2][1]
    assert "both sides agree, and cached (stateful) decoding matches full recomputation for 9 tokens" in out


@pytest.mark.parametrize("text", ["", "  ", os.fsdecode(b"\xff\xfe")], ids=["empty", "blank", "no UTF-8"])
def test_a_prompt_without_tokens_or_sense_is_refused(text, here, trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    status, out, err = here("generate", "lm", text)

    assert (status, out) == (2, "")
    assert err.count("\n") == 1


def test_a_model_refuses_another_tokenizer(here, trained, project):
    shutil.copytree(trained[0] / "lm", project / "lm")
    (project / "lm" / "tokenizer.model").write_bytes(fixture("tokenizer/stdlib-64000.model").read_bytes())
    status, _, err = here("generate", "lm", "The river")

    assert status == 2
    assert "but the models were trained with" in err


def test_a_second_training_keeps_the_tokenizer(here, trained, project, names):
    shutil.copytree(trained[0] / "lm", project / "lm")
    status, out, _ = here("train", "--text", "corpus.txt", "--out", "lm", "--steps", 1, "--side", "torch")

    assert status == 0
    assert "lm/tokenizer.model" in out
    assert names(project / "lm") == ["parity.json", "tokenizer.model", "torch.pth"]


@pytest.mark.parametrize("side", ["torch", "tensorflow"])
def test_one_side_trains_and_speaks_alone(side, here):
    assert here(*TRAIN, "--steps", 1, "--side", side)[0] == 0
    status, out, _ = here("generate", "lm", "The river", "--tokens", 3)

    assert status == 0
    assert f"{side} alone: cached (stateful) decoding matches full recomputation for 3 tokens" in out


def train_until_killed(directory):
    """Train without an end, in this process, which dies half a second behind its first step."""

    def die():
        while "step     1" not in (directory.parent / "out").read_text():
            time.sleep(0.1)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)

    (directory.parent / "out").touch()
    threading.Thread(target=die).start()
    forks.command(
        "parity", [*TRAIN, "--steps", "100000"], directory, dict(os.environ), directory.parent / "out", os.devnull
    )


def test_training_that_is_killed_leaves_nothing_and_runs_again(here, tmp_path, furnish, names, monkeypatch):
    project = tmp_path / "project"
    project.mkdir()
    furnish(project)
    before = names(project)
    with pytest.raises(ParityError, match=r"exit status -9$"):
        process.fresh(train_until_killed, project)

    assert "step     1" in (tmp_path / "out").read_text()
    assert names(project) == before
    monkeypatch.chdir(project)
    assert here(*TRAIN, "--steps", 2)[0] == 0
    assert "parity.json" in names(project / "lm")
