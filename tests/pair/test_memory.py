"""A pair that does not fit into the memory is refused with figures, before it is killed without a word."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from parity import api, checks
from parity.canonical.weights import Each
from parity.checks import forward, masking, runner, training, weights
from parity.errors import ParityError
from parity.pair import memory, models, shelf
from parity.pair.models import PairModels
from parity.pair.resting import resting
from parity.strategies import Case

GB = 10**9
LARGE = SimpleNamespace(variables=lambda: [("table", np.broadcast_to(0.0, (50_000, 1_000)))])


@pytest.fixture
def machine(tmp_path):
    """A machine of 8 GB, and its control groups: `machine("0::/a", {"a/memory.max": "3"})`."""

    def made(groups="", files=None):
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable: {8 * GB // 1024} kB\n")
        (tmp_path / "proc/self/cgroup").write_text(groups)
        for name, text in (files or {}).items():
            path = tmp_path / "sys/fs/cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return memory.available(tmp_path)

    return made


def test_without_groups_it_is_the_machines(machine):
    assert machine() == pytest.approx(8 * GB, abs=1024)


def test_the_narrowest_of_nested_groups_counts_without_its_cache(machine):
    inner = {"a/b/memory.max": "max", "a/b/memory.current": "7", "a/b/memory.stat": "inactive_file 5"}
    outer = {"a/memory.max": f"{3 * GB}", "a/memory.current": f"{2 * GB}", "a/memory.stat": f"inactive_file {GB}"}

    assert machine("0::/a/b\n", {**inner, **outer}) == 2 * GB


def test_of_the_first_version_too(machine):
    files = {"limit_in_bytes": f"{GB}", "usage_in_bytes": "0", "stat": "total_inactive_file 0"}

    assert machine("4:memory:/job\n", {f"memory/job/memory.{name}": text for name, text in files.items()}) == GB


def test_where_nothing_is_known_nothing_is_refused(tmp_path, monkeypatch):
    assert memory.available(tmp_path) is None

    monkeypatch.setattr(memory, "available", lambda: None)
    memory.ask_to_build("large", LARGE)
    memory.ask("large", LARGE, ["training"])


def test_what_does_not_fit_is_told_with_figures(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 2 * GB)

    with pytest.raises(ParityError) as building:
        memory.ask_to_build("large", LARGE)
    with pytest.raises(ParityError) as checking:
        memory.ask("large", LARGE, ["weights", "training"])

    assert str(building.value) == (
        "large has 50,000,000 parameters: to build its models takes about 2.2 GB, and 2.0 GB are available"
    )
    assert str(checking.value) == (
        f"large has 50,000,000 parameters: training takes about {memory.CHECKS['training'] / 20:.1f} GB, and 2.0 GB "
        "are available; without training the others can be asked for by --check or checks="
    )
    memory.ask("large", LARGE, ["weights"])
    memory.ask("large", LARGE, ["forward", "weights"], saving=True)
    assert {*memory.CHECKS} <= {*checks.agreed()}


def test_what_takes_most_is_trained_first_when_least_is_kept(corners, monkeypatch):
    order, progress = [], models.progress
    monkeypatch.setattr(models, "progress", lambda model, *of: order.append(model.dtype) or progress(model, *of))

    training.verify(corners, training.FIXED_EXAMPLES[0])

    assert order == ["float64"] * 3 + ["float32"] * 2


def test_a_check_asks_before_it_starts(corners, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1000)

    with pytest.raises(ParityError, match="parameters: forward takes about 0"):
        api.run_checks(corners, api.Asked(checks=["forward"]))
    with pytest.raises(ParityError, match="to build its models"):
        type(corners)(corners.pair)


def test_where_memory_is_saved_the_verdicts_are_the_same(corners, monkeypatch):
    text = Case(training.FIXED_EXAMPLES[0].weights, ((5, 6, 7), (8, 9))), 3
    given = [(training, training.FIXED_EXAMPLES[-1]), (masking, text), (weights, text[0].weights)]
    as_rule = [module.verify(corners, example) for module, example in given]
    monkeypatch.setattr(corners, "lean", True)
    monkeypatch.setattr(shelf, "MOST", 0)

    assert [module.verify(corners, example) for module, example in given] == as_rule
    kept = corners.shelf().keep({"turned": np.arange(6.0).reshape(2, 3).T}.items())
    np.testing.assert_array_equal(kept["turned"], [[0, 3], [1, 4], [2, 5]])


@pytest.mark.parametrize(("choose", "stays"), [(memory.save, False), (memory.keep, True)])
def test_what_was_freed_goes_back_or_stays(choose, stays):
    choose()
    try:
        array = np.ones(1 << 23)
        held = resident()
        del array

        assert (held - resident() < 1 << 20) == stays
    finally:
        memory.keep()


def resident():
    """In bytes, what of this process is in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_whether_a_name_is_there_is_known_without_its_value():
    each = Each(["table"], lambda name: pytest.fail(f"{name} was computed"))

    assert ("table" in each, "bias" in each) == (True, False)


def test_models_that_rest_hold_nothing_and_get_their_own_back(lstm, monkeypatch):
    """They have been read and run, and what torch has given a view of would keep its memory."""
    corners = PairModels(lstm)
    monkeypatch.setattr(corners, "lean", True)
    assert runner.run_check(forward, corners, 0, 2, "parity check").findings == []
    corners.load(training.FIXED_EXAMPLES[0].weights)
    before = {corner: model.read() for corner, model in corners.models.items()}
    storages = [tensor.untyped_storage() for _, tensor in corners.models["torch", "float64"].variables()]
    with resting(corners):
        assert sum(storage.nbytes() for storage in storages) == 0

    for corner, model in corners.models.items():
        for name, array in model.read().items():
            np.testing.assert_array_equal(array, before[corner][name])
