"""The units of a sweep, its results file and its summary; what needs Dask is in tests/extra/sweep."""

import json
import sys

import pytest

from parity.errors import ParityError
from parity.frontends.sweep import cluster, summary
from parity.frontends.sweep.results_file import ResultsFile
from parity.frontends.sweep.units import Grid
from parity.report import html
from parity.report import sweep as report

GRID = Grid({"a": ("forward", "loss"), "b": ("forward",)}, (3, 4), ("old", "new"), 5, ("float64", "float32"))


def result(unit, verdict="rounding", ratio=0.5, **other):
    head = {"unit": unit.number, "pair": unit.pair, "seed": unit.seed, "check": unit.check}
    told = {"verdict": verdict, "headline": "outputs differ", "ratio": ratio, "rerun": f"rerun {unit.number}"}
    return head | {"environment": unit.environment, "seconds": 2.0} | told | other


def units():
    return [unit for name in GRID.environments for unit in GRID.units(name)]


def test_units_are_numbered_through_and_those_of_a_pair_follow_each_other():
    assert [unit.number for unit in units()] == list(range(len(GRID))) == list(range(12))
    assert [unit.pair for unit in GRID.units("new")] == ["a"] * 4 + ["b"] * 2
    assert len({(unit.pair, unit.seed, unit.check, unit.environment) for unit in units()}) == 12


def test_a_sweep_goes_on_behind_the_last_whole_line(tmp_path):
    path = tmp_path / "sweep.jsonl"
    with ResultsFile(path, GRID) as file:
        for unit in units()[:5]:
            file.add(result(unit))
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])  # as a killed process leaves it
    with ResultsFile(path, GRID) as file:
        assert [unit.number for unit in units() if not file.has(unit.number)] == list(range(4, 12))
        assert file.count == 4
        file.add(result(units()[4]))
    assert path.read_bytes() == whole


def test_the_versions_of_an_environment_are_written_once_and_again_where_they_are_others(tmp_path):
    path = tmp_path / "sweep.jsonl"
    for place, version in enumerate(("1", "1", "2")):
        with ResultsFile(path, GRID) as file:
            file.add(result(units()[place], versions={"torch": version}))
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["versions"] for line in found if "versions" in line] == [{"torch": "1"}, {"torch": "2"}]
    assert summary.document(path, GRID)["versions"] == {"old": [{"torch": "1"}, {"torch": "2"}], "new": []}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema": 1, "sweep": {}}\n', "holds another sweep"),
        ("no JSON\n", "line 1 is no result of a sweep"),
        (None, "line 2 is no result of a sweep"),
    ],
)
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path, text, message):
    path = tmp_path / "sweep.jsonl"
    head = json.dumps({"schema": 1, "sweep": GRID.document()}) + "\n"
    path.write_text(text or head + '{"unit": 99}\n')
    before = path.read_bytes()
    with pytest.raises(ParityError, match=message), ResultsFile(path, GRID):
        pass
    assert path.read_bytes() == before


def test_two_sweeps_do_not_write_to_one_file(tmp_path):
    path = tmp_path / "sweep.jsonl"
    with (
        ResultsFile(path, GRID),
        pytest.raises(ParityError, match="another sweep is writing to it"),
        ResultsFile(path, GRID),
    ):
        pass


def swept(tmp_path, results):
    path = tmp_path / "sweep.jsonl"
    path.unlink(missing_ok=True)
    with ResultsFile(path, GRID) as file:
        for line in results:
            file.add(dict(line))
    return summary.document(path, GRID)


def test_a_summary_does_not_depend_on_the_order_in_which_results_came(tmp_path):
    results = [result(unit, ratio=unit.number / 20) for unit in units()]
    first, second = swept(tmp_path, results), swept(tmp_path, reversed(results))
    assert first == second
    assert first["holds"]
    assert summary.status(first) == 0
    assert first["table"]["forward"]["new"] == {"units": 4, "failed": 0, "errors": 0, "not_run": 0, "ratio": 11 / 20}
    assert [line["unit"] for line in first["nearest"][:3]] == [11, 10, 9]


def test_a_sweep_holds_only_where_every_unit_is_there_and_passes(tmp_path):
    results = [result(unit) for unit in units()]
    different = [result(units()[0], "different", 3.0), *results[1:]]
    error = [result(units()[0], "error", None), *results[1:]]
    nothing = [result(unit, "not run", None) for unit in units()]
    statuses = [summary.status(swept(tmp_path, given)) for given in (results, results[1:], different, error, nothing)]
    assert statuses == [0, 1, 1, 3, 1]


def test_a_page_says_what_failed_and_how_near_the_others_came(tmp_path):
    found = swept(tmp_path, [result(unit, "different", 3.0) if unit.number == 7 else result(unit) for unit in units()])
    page = html.swept(found)
    assert "the sweep failed" in page
    assert "rerun 7" in page[: page.index("Distance to the limit")]
    assert "3 x, 1 of 2 failed" in page
    assert str(report.last_line(found)) == "the sweep failed: 12 of 12 units; 1 failed"
    assert report.fleet(found) == "worker time: 24 s for 12 units; 100 workers: 2 s"


@pytest.mark.parametrize("text", ["tf219", "=python", "two words=python", "v=/no/such/python"])
def test_an_environment_that_is_no_name_and_interpreter_is_refused(text):
    with pytest.raises(ParityError, match=f"--env {text}"):
        cluster.interpreters(["here=python", text])


def test_an_empty_environment_and_two_of_one_name_are_refused():
    with pytest.raises(ParityError, match=r"^--env '': should be NAME=PYTHON, such as"):
        cluster.interpreters([""])
    with pytest.raises(ParityError, match=r"^--env a: there are two of this name, python and python3$"):
        cluster.interpreters(["a=python", "a=python3"])
    assert cluster.interpreters(["a=python", "b=python"]) == {"a": "python", "b": "python"}


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ParityError, match=r'pip install "parity\[sweep\]"'):
        cluster.imported()
