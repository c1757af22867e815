"""Files: whole or not at all, and one clear line when they cannot be read."""

import os
import stat
from pathlib import Path

import pytest

from parity.errors import ParityError
from parity.files import check_place, read_text, read_texts, replacing, suffix


def test_replacing_writes_at_the_end(tmp_path, names):
    target = tmp_path / "report.json"
    with replacing(target) as temporary:
        temporary.write_text("new")

        assert not target.exists()
        assert temporary.suffix == ".json"
    assert target.read_text() == "new"
    assert names(tmp_path) == ["report.json"]


def test_replacing_keeps_the_old_file_when_the_work_fails(tmp_path, names):
    target = tmp_path / "report.json"
    target.write_text("old")

    def fail():
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert target.read_text() == "old"
    assert names(tmp_path) == ["report.json"]


def test_replacing_gives_the_modes_of_a_plain_file(tmp_path):
    (tmp_path / "plain").write_text("")
    with replacing(tmp_path / "made") as temporary:
        temporary.write_text("")

    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "made")]
    assert modes[0] == modes[1]


def test_replacing_keeps_a_double_suffix(tmp_path):
    with replacing(tmp_path / "a.weights.h5") as temporary:
        assert temporary.name.endswith(".weights.h5")


def test_replacing_moves_every_file_that_a_format_makes(tmp_path, names):
    with replacing(tmp_path / "model.ckpt") as temporary:
        for ending in (".index", ".data"):
            temporary.with_name(temporary.name + ending).write_text(ending)

        assert not list(tmp_path.glob("model*"))
    assert names(tmp_path) == ["model.ckpt.data", "model.ckpt.index"]


def test_a_file_of_no_known_ending_is_refused():
    assert suffix(Path("a.weights.h5"), (".keras", ".weights.h5")) == ".weights.h5"
    with pytest.raises(ParityError, match=r"^a\.h5: is no \.keras or \.weights\.h5 file$"):
        suffix(Path("a.h5"), (".keras", ".weights.h5"))


def test_unwritable_place_is_refused(tmp_path):
    with pytest.raises(ParityError, match="cannot be written"), replacing(tmp_path / "no" / "file"):
        pass
    with pytest.raises(ParityError, match="cannot be written"):
        check_place(tmp_path / "no" / "file")
    with pytest.raises(ParityError, match="is a directory"):
        check_place(tmp_path)


def test_only_regular_files_are_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ParityError, match="is not a regular file"):
        check_place(tmp_path / "pipe")
    with pytest.raises(ParityError, match="cannot be written"):
        check_place(tmp_path / ("x" * 300))


def test_a_link_is_followed(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    with replacing(tmp_path / "link") as temporary:
        temporary.write_text("new")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_text_that_is_not_utf8_names_the_byte(tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ParityError, match=r"latin\.txt: not UTF-8 at byte 3"):
        read_text(tmp_path / "latin.txt")


def test_lines_of_a_directory_come_in_order_of_path(tmp_path):
    (tmp_path / "b.txt").write_text("three\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.md").write_text("one\n\n  \ntwo")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")

    assert read_texts(tmp_path) == ["one", "two", "three"]


def test_no_text_is_refused(tmp_path):
    (tmp_path / "blank.txt").write_text(" \n\n")
    with pytest.raises(ParityError, match=r"blank\.txt: no text in it"):
        read_texts(tmp_path / "blank.txt")
    with pytest.raises(ParityError, match="no text in any"):
        read_texts(tmp_path)
