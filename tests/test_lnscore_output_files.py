"""Files of the report: whole or not at all, left alone where nothing changed."""

import os
import stat
from pathlib import Path

import pytest

from lnscore import output_files
from lnscore.errors import Refusal


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_error_in_the_middle_leaves_the_old_file_alone(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    output_files.write(page, "old")

    def fail_halfway() -> None:
        with output_files.replacing(page) as file:
            file.write("half of the new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert (page.read_text(), names(tmp_path)) == ("old", ["index.html"])


def test_nobody_sees_a_file_before_it_is_whole(tmp_path: Path) -> None:
    page = tmp_path / "new" / "index.html"
    with output_files.replacing(page) as file:
        file.write("half")
        file.flush()
        assert not page.exists()
    assert page.read_text() == "half"


def test_the_same_text_does_not_touch_the_file(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    output_files.write(page, "same")
    os.utime(page, (1, 1))
    output_files.write(page, "same")
    assert page.stat().st_mtime == 1


def test_what_a_killed_run_left_goes_and_what_a_living_run_writes_stays(tmp_path: Path) -> None:
    old, young, other = (
        tmp_path / name for name in (".a.html.1.half", ".a.html.2.half", ".b.html.1.half")
    )
    for path in (old, young, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (1, 1))
    output_files.write(tmp_path / "a.html", "")
    assert names(tmp_path) == [".a.html.2.half", ".b.html.1.half", "a.html"]


def test_text_is_written_as_it_is_on_every_system(tmp_path: Path) -> None:
    output_files.write(tmp_path / "a", "é\n\r\n")
    assert (tmp_path / "a").read_bytes() == "é\n\r\n".encode()


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_the_mode_is_the_users_own(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        output_files.write(tmp_path / "a", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(Refusal, match=r"R02: .*cannot be written"):
        output_files.write(tmp_path / "out" / "index.html", "")
    assert (tmp_path / "out").read_text() == "mine"


def test_the_head_of_a_missing_file_is_empty(tmp_path: Path) -> None:
    assert output_files.head(tmp_path / "none") == ""
