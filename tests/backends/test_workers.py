"""Workers: jobs in processes of their own, results in order; one that dies is named, none is left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from parity.backends import process
from parity.backends.workers import Workers, cores
from parity.errors import ParityError


def first(_, left):
    return min(left)


def ignored(place, result):
    pass


class PrecisionSquare:
    """Late where the number is small, so that later ones are ready before."""

    def __call__(self, number):
        time.sleep(0.3 if number == 0 else 0)
        if number == 7:
            raise ParityError("seven cannot be")
        if number == 9:
            os.kill(os.getpid(), signal.SIGKILL)
        return number**2, os.getpid()


def test_results_come_in_the_order_of_the_jobs():
    told = []
    with Workers(2, PrecisionSquare) as workers:
        found = workers.do(range(5), first, lambda place, result: told.append((place, result)))

    assert [square for square, _ in found] == [0, 1, 4, 9, 16]
    assert sorted(told) == [*enumerate(found)]
    assert told[0] != (0, found[0])
    assert len({pid for _, pid in found}) == 2
    assert os.getpid() not in {pid for _, pid in found}


def test_one_alone_is_this_process():
    with Workers(1, PrecisionSquare) as workers:
        assert workers.do([3], first, ignored) == [(9, os.getpid())]


def test_who_does_what_may_be_said():
    with Workers(2, PrecisionSquare) as workers:
        found = workers.do([1, 2, 3], lambda worker, left: min(left) if worker == 1 else None, ignored)

    assert len({pid for _, pid in found}) == 1


class Relations:
    """Who started this process, and who starts a fresh one for it."""

    def __call__(self, _):
        return os.getpid(), os.getppid(), *process.fresh(relations)


def relations():
    return os.getpid(), os.getppid()


def test_one_server_serves_workers_and_their_fresh_processes():
    """A second one would import both frameworks again, for every worker."""
    with Workers(2, Relations) as workers:
        ((worker, server, fresh, its_server),) = workers.do([0], first, ignored)

    assert len({os.getpid(), worker, server, fresh}) == 4
    assert server == its_server


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_comes_back(count):
    with pytest.raises(ParityError, match=r"^seven cannot be$"), Workers(count, PrecisionSquare) as workers:
        workers.do([1, 7], first, ignored)


def test_a_process_that_dies_is_an_error_that_names_its_job():
    with (
        pytest.raises(ParityError, match=r"^9: the process died in it, exit status -9$"),
        Workers(2, PrecisionSquare) as workers,
    ):
        workers.do([1, 9, 2, 3], first, ignored)


def test_there_is_a_core_at_least():
    assert 1 <= cores() <= os.cpu_count()


def session(number):
    """The processes of a session, by id, but for those that have ended."""
    found = subprocess.run(["ps", "-e", "-o", "sid=,pid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in found.splitlines()]
    return [pid for sid, pid, state in rows if sid == str(number) and not state.startswith("Z")]


def test_ctrl_c_ends_them_all(tmp_path):
    command = [sys.executable, "-m", "parity", "selftest", "--json", "found.json"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    run = subprocess.Popen(command, cwd=tmp_path, text=True, start_new_session=True, **streams)
    deadline = time.monotonic() + 120
    while len(session(run.pid)) < 5 and time.monotonic() < deadline:  # itself, the server and its helper, the workers
        time.sleep(0.2)
    time.sleep(2)  # into the checks
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)

    assert (run.returncode, out, err.strip()) == (130, "", "")
    assert list(tmp_path.iterdir()) == []
    assert ended(run.pid, 10)


def ended(number, seconds):
    """Whether a session's processes have all ended, waiting some seconds for it."""
    for _ in range(10 * seconds):
        if not session(number):
            return True
        time.sleep(0.1)
    return False


def test_the_server_ends_with_whoever_started_it():
    """In the middle of its imports, which take longer than is waited for here."""
    command = [sys.executable, "-c", "from parity.backends.process import warm; warm()"]
    with subprocess.Popen(command, start_new_session=True) as run:
        run.wait()

    assert ended(run.pid, 1)
