"""A sweep on Dask's workers: killed, spread, with workers that die, and in other environments. `tox -e sweep`."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import distributed
import pytest

from parity.errors import ParityError
from parity.frontends.sweep import cluster
from parity.frontends.sweep.drive import drive
from parity.frontends.sweep.results_file import ResultsFile
from parity.frontends.sweep.units import Grid

KILLS = 100
UNITS = 60_000
HERE = {"here": sys.executable}
PAIR = """
import numpy as np
import torch
import keras
import parity

def old():
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))

def new():
    layers = [keras.layers.Dense(8, activation="{activation}"), keras.layers.Dense(3)]
    return keras.Sequential([keras.Input((4,)), *layers])

pair = parity.Pair("tiny", torch=old, tensorflow=new, inputs=np.random.default_rng(0).normal(size=(6, 4)))
"""


def nothing(unit):
    return {"unit": unit.number, "environment": unit.environment}


def slow(unit):
    """Takes longer than a task of several units may, every tenth time."""
    time.sleep(0.15 * (unit.number % 10 == 0))
    return nothing(unit)


def deadly(unit):
    """Ends its process the first time that any does unit 3, and each time that one does unit 5 or 300."""
    mark = Path(os.environ["MARK"])
    if unit.number in (5, 300) or (unit.number == 3 and not mark.exists()):
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return nothing(unit)


def grid(count):
    return Grid({"p": ("forward",)}, (1, count), ("here",), 1, ("float64", "float32"))


def do(path, count, work):
    """What a process that is killed does: go on where the file ends, with a worker in itself."""
    with (
        ResultsFile(path, grid(count)) as file,
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, resources={"here": 1}
        ) as local,
        distributed.Client(local) as client,
    ):
        drive(client, {"here": (u for u in grid(count).units("here") if not file.has(u.number))}, work, file.add)


def numbers(path):
    return [json.loads(line)["unit"] for line in path.read_text().splitlines()[1:]]


def test_of_a_sweep_that_is_killed_a_hundred_times_no_unit_is_lost_and_none_is_there_twice(tmp_path):
    path, draw = tmp_path / "sweep.jsonl", random.Random(0)
    kills = 0
    while kills < KILLS:
        process = subprocess.Popen([sys.executable, __file__, str(path), str(UNITS)])
        before, end = size(path), time.monotonic() + 60
        while size(path) <= before and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(draw.random() / 20)
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        assert process.returncode != 0, "the units are too few for so many kills"
    do(path, UNITS, nothing)
    assert sorted(numbers(path)) == list(range(UNITS))


def size(path):
    return path.stat().st_size if path.exists() else 0


def test_a_unit_whose_worker_dies_is_tried_again_and_one_that_kills_each_worker_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("MARK", str(tmp_path / "died"))
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    from test_sweep import deadly as work  # importable by the workers under this name

    results = []
    with cluster.local(HERE, 2) as client:
        drive(client, {"here": grid(400).units("here")}, work, results.append)
    assert sorted(line["unit"] for line in results) == list(range(400))
    assert sorted(line["unit"] for line in results if line.get("verdict") == "error") == [5, 300]


@pytest.mark.parametrize(("work", "count", "several"), [(nothing, 2000, True), (slow, 100, False)])
def test_the_scheduler_has_a_few_units_at_a_time_and_short_ones_several_in_a_task(work, count, several, monkeypatch):
    most = 0
    results, sizes = [], []
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, resources={"here": 1}
        ) as local,
        distributed.Client(local) as client,
    ):
        spread = client.map

        def recorded(of, tasks, **named):
            sizes.extend(map(len, tasks))
            return spread(of, tasks, **named)

        def done(line):
            nonlocal most
            most = max(most, len(local.scheduler.tasks))
            results.append(line)

        monkeypatch.setattr(client, "map", recorded)
        drive(client, {"here": grid(count).units("here")}, work, done)
    assert sorted(line["unit"] for line in results) == list(range(count))
    assert sum(sizes) == count
    assert most < 50
    assert (max(sizes) > 8) == several


def sweep(directory, *arguments):
    command = [sys.executable, "-m", "parity", "sweep", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=600)


def figures(path):
    """The results without times, in the order of the units."""
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    results = sorted((line for line in lines if "unit" in line), key=lambda line: line["unit"])
    return [{key: value for key, value in line.items() if key != "seconds"} for line in results]


def test_two_workers_give_the_figures_of_one_in_a_cluster_as_well_as_here(tmp_path):
    (tmp_path / "acme.py").write_text(PAIR.format(activation="relu"))
    given = ["acme:pair", "--seeds", "0..2", "--examples", "3", "--check", "forward", "--check", "weights"]
    one = sweep(tmp_path, *given, "--workers", "1", "--results", "one.jsonl")
    assert one.returncode == 0, one.stderr
    two = sweep(tmp_path, *given, "--workers", "2", "--results", "two.jsonl", "--html", "page.html")
    assert two.returncode == 0, two.stderr
    assert "the sweep passed: 6 of 6 units" in two.stdout
    assert figures(tmp_path / "one.jsonl") == figures(tmp_path / "two.jsonl")
    assert "the sweep passed" in (tmp_path / "page.html").read_text()
    with distributed.LocalCluster(n_workers=0, processes=False, protocol="tcp", dashboard_address=None) as local:
        refused = sweep(tmp_path, *given, "--scheduler", local.scheduler_address, "--results", "three.jsonl")
        assert refused.returncode == 2
        assert "no worker offers 'here'; start one" in refused.stderr
        command = [sys.executable, "-m", "distributed.cli.dask_worker", local.scheduler_address]
        command += ["--nthreads", "1", "--resources", "here=1", "--no-dashboard", "--local-directory", str(tmp_path)]
        worker = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
        with distributed.Client(local) as client:
            client.wait_for_workers(1)
            joined = sweep(tmp_path, *given, "--scheduler", local.scheduler_address, "--results", "three.jsonl")
        worker.terminate()
        worker.wait()
    assert joined.returncode == 0, joined.stderr
    assert figures(tmp_path / "three.jsonl") == figures(tmp_path / "one.jsonl")


def test_a_planted_fault_fails_the_sweep_and_its_command_shows_it_again(tmp_path):
    (tmp_path / "acme.py").write_text(PAIR.format(activation="gelu"))
    found = sweep(tmp_path, "acme:pair", "--seeds", "7..7", "--examples", "3", "--check", "forward")
    assert found.returncode == 1, found.stderr
    assert "acme:pair forward seed 7 here: outputs differ" in found.stdout
    (line,) = figures(tmp_path / "sweep.jsonl")
    again = subprocess.run([sys.executable, "-m", *line["rerun"].split()], cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 1
    assert line["headline"] in again.stdout


def test_an_interpreter_without_dask_is_told(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named distributed' >&2\nexit 1\n")
    python.chmod(0o755)
    with (
        pytest.raises(ParityError, match="environment bare: its workers did not start: No module named distributed"),
        cluster.local({"bare": str(python)}, 1),
    ):
        pass


if __name__ == "__main__":
    do(Path(sys.argv[1]), int(sys.argv[2]), nothing)
