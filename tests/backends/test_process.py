"""Fresh processes: nothing of the caller is there, exceptions come back, what cannot cross over is named."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

import parity
from parity.backends.process import begun, fresh
from parity.errors import ParityError
from parity.files import read_text


def test_it_is_another_process_each_time():
    assert len({os.getpid(), fresh(os.getpid), fresh(os.getpid)}) == 3


def test_the_collector_lets_be_what_the_frameworks_hold():
    threshold, *_ = fresh(gc.get_threshold)

    assert threshold >= 10_000
    assert fresh(gc.get_freeze_count) > 100_000


def test_the_collector_is_off_only_while_the_server_imports():
    assert fresh(gc.isenabled)


def test_exceptions_come_back(tmp_path):
    with pytest.raises(ParityError, match="cannot be read"):
        fresh(read_text, tmp_path / "missing")


def test_a_process_that_dies_is_an_error():
    """One that waited for it would wait for ever."""
    with pytest.raises(ParityError, match=r"^a fresh process died, exit status 9$"):
        fresh(os._exit, 9)


def test_it_goes_on_beside_this_process_and_ends_with_the_context(tmp_path):
    """At once where an exception leaves it: nobody waits for what is not asked for."""
    asked, answered = tmp_path / "asked", tmp_path / "answered"
    os.mkfifo(asked)
    os.mkfifo(answered)
    with begun(Path.write_text, asked, "1") as result:
        assert asked.read_text() == "1"  # waits until the other process writes
        assert result() == 1
    with pytest.raises(KeyboardInterrupt), begun(Path.read_text, answered):  # which nobody writes to
        raise KeyboardInterrupt


def test_what_cannot_be_imported_is_named():
    with pytest.raises(ParityError, match="define builders at the top of a module"):
        fresh(lambda: 1)


def test_the_caller_keeps_what_it_has_imported():
    before = sys.modules["__main__"], set(sys.modules)
    fresh(os.getpid)

    assert sys.modules["__main__"] is before[0]
    assert before[1] <= set(sys.modules)


SCRIPT = """
import os
import parity
from parity.backends.process import begun, fresh

print("top", flush=True)
fresh(os.getpid)
"""


def test_a_script_without_a_main_guard_is_not_run_again(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    result = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stdout, result.stderr) == (0, "top\n", "")


ELSEWHERE = """
import importlib.util
import os
import parity
from parity.backends.process import begun, fresh

print(parity.__file__ == fresh(importlib.util.find_spec, "parity").origin)
print(os.environ.get("PYTHONPATH"), fresh(os.getenv, "PYTHONPATH"), fresh(os.getenv, "PYTHONSAFEPATH"))
print(os.getcwd() == fresh(os.getcwd))
"""


def test_it_imports_from_where_the_caller_does(tmp_path):
    """A checkout of parity in the directory that it is started in is not the one that is installed."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "script.py").write_text(ELSEWHERE)
    (tmp_path / "parity").mkdir()
    (tmp_path / "parity" / "__init__.py").write_text("")
    place = str(Path(parity.__file__).parents[1])
    command = [sys.executable, "scripts/script.py"]
    environment = {**os.environ, "PYTHONPATH": place}
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == ["True", f"{place} {place} None", "True"]
