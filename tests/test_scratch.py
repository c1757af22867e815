"""What parity writes: nothing lost however a run ends, nothing left behind, nothing where another user can write."""

import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import configuration

from benchmarks import kills
from parity import scratch
from parity.backends import process
from parity.errors import ParityError
from parity.gate import baseline
from parity.inputs.sampling import without_constants_of_modules
from parity.scratch import locked


def test_no_moment_of_any_end_loses_a_file_or_leaves_one():
    """At every twelfth line of what writes; `python -m benchmarks.kills` does it at each, and says more."""
    root = Path(kills.__file__).parents[1]  # behind the parity that is installed
    script = f"import sys; sys.path.append({str(root)!r}); from benchmarks import kills; kills.main()"
    command = [sys.executable, "-c", script, "--stride", "12", "--kills", "24", "--interrupts", "12"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 20


def test_the_directory_that_is_kept_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert scratch.kept() == tmp_path / "parity"
    assert stat.S_IMODE((tmp_path / "parity").stat().st_mode) == 0o700
    with without_constants_of_modules():
        assert configuration.storage_directory().path.is_relative_to(tmp_path / "parity")


def others_can_write(place):
    place.mkdir(mode=0o700)
    place.chmod(0o770)


def a_link(place):
    place.with_name("elsewhere").mkdir(mode=0o700)
    place.symlink_to("elsewhere")


@pytest.mark.parametrize("kind", [others_can_write, a_link, Path.touch, lambda place: place.parent.rmdir()])
def test_a_directory_that_is_not_the_users_alone_is_not_used(kind, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    kind(home / "parity")
    if not home.exists():
        home.touch()  # so that none can be made

    assert scratch.kept() == scratch.of_process()
    assert stat.S_IMODE(scratch.of_process().stat().st_mode) == 0o700


def test_a_directory_of_another_user_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    scratch.kept()
    monkeypatch.setattr(os, "getuid", lambda: 12345)

    assert scratch.kept() == scratch.of_process()


def test_a_fresh_process_leaves_nothing():
    """TensorFlow's generated code, for one: such a process ends without what an interpreter does at its end."""
    place = Path(process.fresh(tempfile.mkdtemp))

    assert not place.parent.exists()
    assert place.is_relative_to(scratch.of_process())


def test_what_another_machine_writes_is_left_alone_for_a_day(tmp_path):
    for name in (".parity.elsewhere.1", ".parity.elsewhere.2", f".parity.{scratch._of_this_machine()}3"):
        (tmp_path / name).mkdir()
    day = time.time() - scratch.DAY - 60
    os.utime(tmp_path / ".parity.elsewhere.2", (day, day))
    scratch.recover(tmp_path / "file")

    assert [path.name for path in tmp_path.iterdir()] == [".parity.elsewhere.1"]


def test_what_a_process_uses_is_left_alone(tmp_path):
    with scratch.beside(tmp_path / "file") as place:
        scratch.recover(tmp_path / "file")
        assert place.exists()

    assert not list(tmp_path.iterdir())


def test_whom_a_baseline_waits_for_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(baseline, "PATIENCE", 0.05)
    told = rf"baselines: is in use by process {os.getpid()} on \S+, even after 0.05 seconds; end that process, or "
    (tmp_path / "baselines").mkdir()
    with locked(tmp_path / "baselines"), pytest.raises(ParityError, match=told):
        baseline.read(tmp_path / "baselines" / "a.json")
