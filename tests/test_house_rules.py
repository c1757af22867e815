"""Each rule of the house, shown a small package that breaks it; beside it the same package, which holds."""

import itertools
import sys

import pytest

from tests.helpers.house import House

LINE = "base | low other | high | __init__"
# A package that breaks no rule: three rooms, one above the other.
SOUND = {
    "__init__.py": '"""A package."""\n\nfrom small.high import top\n',
    "base.py": '"""What knows nothing."""\n\n\ndef half(number: float) -> float:\n    return number / 2\n',
    "low/__init__.py": '"""A room."""\n',
    "low/floor.py": '"""A file of it."""\n\nfrom small.base import half\n\nquarter = half(half(1.0))\n',
    "other/__init__.py": '"""A room beside it."""\n',
    "high/__init__.py": '"""A room above."""\n',
    "high/top.py": '"""A file of it."""\n\nfrom small.low import floor\nfrom small.other import __doc__ as text\n',
}
UP = "from small.high import top\n"


@pytest.fixture
def house(tmp_path):
    """A function: changes, file -> what is added to it -> the house of the package so changed."""

    made = itertools.count()

    def make(line=LINE, exceptions=(), **added):
        package = tmp_path / str(next(made)) / "small"
        for name, text in SOUND.items():
            path = package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + added.pop(name.replace("/", "_").removesuffix(".py"), ""))
        for name, text in added.items():
            (package / f"{name}.py").write_text(text)
        return House(package, line, {}, exceptions)

    return make


def test_a_sound_package_breaks_no_rule(house):
    sound = house()

    assert sound.arrows == {("low.floor", "base"), ("high.top", "low.floor"), ("high.top", "other")}
    assert (sound.homeless(), sound.upward(), sound.circle()) == (set(), set(), [])
    assert sound.floors() == {"__init__": 1, "base": 1, "other": 1, "low": 2, "high": 3}
    assert (sound.crowded(2), sound.bare_any(), sound.undocumented()) == ({}, (0, 2), [])
    assert (sound.long_files(), sound.long_functions()) == ({}, {})


@pytest.mark.parametrize("where", ["", "\n\ndef late():\n    "], ids=["at its top", "inside a function"])
def test_an_import_of_what_stands_above_is_seen(house, where):
    assert house(low_floor=where + UP).upward() == {("low.floor", "high.top")}


def test_an_import_of_what_stands_beside_is_seen(house):
    assert house(low_floor="from small import other\n").upward() == {("low.floor", "other")}


def test_an_import_of_the_whole_package_is_seen(house):
    assert house(low_floor="import small.high.top\n").upward() == {("low.floor", "high.top")}


def test_an_exception_allows_one_import_and_no_other(house):
    allowed = [("low.floor", "high", "shown here")]

    assert house(exceptions=allowed, low_floor=UP).upward() == set()
    assert house(exceptions=allowed, base=UP).upward() == {("base", "high.top")}


def test_a_relative_import_is_refused(house):
    with pytest.raises(AssertionError, match="relative import"):
        house(low_floor="from . import floor\n").upward()


def test_a_module_without_a_room_is_seen(house):
    assert house(stray='"""Nobody knows me."""\n').homeless() == {"stray"}


def test_a_circle_is_seen(house):
    found = house(base="from small.low import floor\n").circle()

    assert {"base", "low.floor"} <= set(found)


def test_each_room_that_is_imported_adds_a_floor(house):
    """`other` stands on the ground; once it imports `low`, which stands on `base`, it is on the third floor."""
    assert house(other___init__="from small.low import floor\n").floors()["other"] == 3
    assert house(other___init__="from small.low import floor\n").floors()["high"] == 4


def test_a_file_that_names_many_rooms_is_seen(house):
    assert house(high_top="from small.base import half\n").crowded(2) == {"high.top": {"low", "other", "base"}}


@pytest.mark.parametrize(
    "line",
    [
        "def one(x: Any): ...",
        "def one() -> Any: ...",
        "one: Any = 0",
        "def one(*x: Any): ...",
        "def one(*, x: Any): ...",
    ],
)
def test_a_bare_any_is_counted_wherever_it_stands(house, line):
    assert house(low_floor=f"from typing import Any\n{line}\n").bare_any() == (1, 3)


def test_an_any_inside_another_annotation_is_not_bare(house):
    assert house(low_floor="from typing import Any\none: list[Any] = []\n").bare_any() == (0, 3)


def test_a_long_file_and_a_long_function_are_seen(house):
    long = house(low_floor="\n" * 300, base="\n\ndef long() -> None:\n" + "    pass\n" * 41)

    assert set(long.long_files()) == {"low.floor"}
    assert long.long_functions() == {"base.long": 41}


def test_a_file_that_does_not_say_what_it_is_for_is_seen(house):
    assert house(mute="number = 1\n").undocumented() == ["mute"]


def test_nothing_of_the_package_was_run():
    assert "small" not in sys.modules
