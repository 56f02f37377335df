"""Every file once; nothing followed out of its folder; an archive that lies is refused."""

import gc
import os
import stat
import warnings
import zipfile
from pathlib import Path

import pytest
from pydicom.fileset import FileSet

from damaged_archive import damaged
from fake_ct import make_ct, save
from lnscore.dicom import sources
from lnscore.dicom.sources import SourceFile, Unpacking, find, list_dicomdir, unpack
from lnscore.errors import Refusal


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def zipped(path: Path, *names: str, data: bytes = b"DICM") -> SourceFile:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, data)
    return SourceFile(str(path), path.name)


def unpacked(tmp_path: Path, archive: SourceFile) -> list[SourceFile]:
    folder = tmp_path / "out"
    folder.mkdir()
    return unpack(Unpacking(archive, str(folder)))


def refusal(tmp_path: Path, archive: SourceFile) -> Refusal:
    with pytest.raises(Refusal) as caught:
        unpacked(tmp_path, archive)
    return caught.value


def test_files_of_nested_folders_come_in_a_stable_order(tmp_path):
    for name in ("b/2", "a/10", "a/1", "c"):
        touch(tmp_path / name)
    assert [Path(one.shown).name for one in find([tmp_path]).files] == ["c", "1", "10", "2"]


def test_a_file_given_twice_is_read_once(tmp_path):
    file = touch(tmp_path / "a")
    assert len(find([tmp_path, file, tmp_path]).files) == 1


def test_a_path_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(Refusal, match=r"F10: no file or folder '.*/nowhere'"):
        find([tmp_path / "nowhere"])


def test_a_link_inside_the_folder_is_followed_and_one_that_leads_out_is_not(tmp_path):
    touch(tmp_path / "root" / "real")
    touch(tmp_path / "secret")
    (tmp_path / "root" / "inner").symlink_to(tmp_path / "root" / "real")
    (tmp_path / "root" / "outer").symlink_to(tmp_path / "secret")
    found = find([tmp_path / "root"])
    assert len(found.files) == 1
    assert [note.split(": ")[1] for note in found.notes] == [
        "a link out of the folder, not followed"
    ]


def test_a_loop_of_links_ends(tmp_path):
    touch(tmp_path / "root" / "real")
    (tmp_path / "root" / "again").symlink_to(tmp_path / "root", target_is_directory=True)
    assert len(find([tmp_path / "root"]).files) == 1


def test_a_pipe_in_the_folder_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert find([tmp_path]).files == []


def test_an_archive_is_unpacked_under_numbers_and_shown_by_its_names(tmp_path):
    archive = zipped(tmp_path / "a.zip", "one/1.dcm", "two.dcm")
    files = unpacked(tmp_path, archive)
    assert [one.shown for one in files] == ["a.zip!one/1.dcm", "a.zip!two.dcm"]
    assert [Path(one.path).name for one in files] == ["000000", "000001"]
    assert Path(files[0].path).read_bytes() == b"DICM"


@pytest.mark.parametrize("name", ["../up", "/etc/x", "a/../../b", "..\\up", "C:\\x"])
def test_a_name_that_leads_out_refuses_the_archive(tmp_path, name):
    assert refusal(tmp_path, zipped(tmp_path / "a.zip", "fine", name)).code == "F14"


def test_a_link_in_an_archive_refuses_it(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    assert refusal(tmp_path, SourceFile(str(path), "a.zip")).code == "F14"


def test_an_archive_in_an_archive_is_refused(tmp_path):
    assert refusal(tmp_path, zipped(tmp_path / "a.zip", "inner.zip")).code == "F16"


def test_a_password_is_refused(tmp_path):
    path = Path(zipped(tmp_path / "a.zip", "one").path)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert refusal(tmp_path, SourceFile(str(path), "a.zip")).code == "F14"


def test_an_archive_that_grows_without_end_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "FREE_GROWTH_BYTES", 1 << 20)
    archive = zipped(tmp_path / "bomb.zip", "zeros", data=bytes(64 << 20))
    assert refusal(tmp_path, archive).code == "F15"
    grown = sum(file.stat().st_size for file in (tmp_path / "out").iterdir())
    assert grown <= os.stat(archive.path).st_size * sources.MAX_GROWTH + (1 << 20)


def test_an_archive_of_too_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MAX_ENTRIES", 3)
    assert refusal(tmp_path, zipped(tmp_path / "a.zip", *"abcd")).code == "F15"


def test_a_damaged_archive_is_refused(tmp_path):
    path = Path(zipped(tmp_path / "a.zip", "one", data=os.urandom(9000)).path)
    data = bytearray(path.read_bytes())
    data[2000] ^= 0xFF
    path.write_bytes(data)
    assert refusal(tmp_path, SourceFile(str(path), "a.zip")).code == "F16"


@pytest.mark.parametrize("how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_damaged_inside_what_is_packed_is_refused(how, tmp_path):
    path = damaged(tmp_path / "a.zip", how)
    assert refusal(tmp_path, SourceFile(str(path), "a.zip")).code == "F16"


def dicomdir(tmp_path: Path) -> Path:
    files = FileSet()
    for one in make_ct((3, 8, 8)):
        one.SpecificCharacterSet = "ISO_IR 100"
        files.add(one)
    files.write(tmp_path / "cd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # pydicom leaves its folder to the GC
        del files
        gc.collect()
    return tmp_path / "cd" / "DICOMDIR"


def test_a_dicomdir_names_its_files(tmp_path):
    path = dicomdir(tmp_path)
    save(make_ct((2, 8, 8)), tmp_path / "cd" / "unlisted")
    found = find([path])
    assert found.files == []
    files, notes = list_dicomdir(found.dicomdirs[0])
    assert (len(files), notes) == (3, [])


def test_a_dicomdir_cannot_name_files_outside_its_folder(tmp_path):
    path = dicomdir(tmp_path)
    files, _ = list_dicomdir(SourceFile(str(path), "DICOMDIR"))
    touch(tmp_path / "passwd")
    name = os.path.relpath(files[0].path, path.parent).split(os.sep)
    data = path.read_bytes()
    old = "\\".join(name).encode()
    assert old in data
    new = b"..\\passwd".ljust(len(old), b" ")
    path.write_bytes(data.replace(old, new))
    files, notes = list_dicomdir(SourceFile(str(path), "DICOMDIR"))
    assert len(files) == 2
    assert notes == ["DICOMDIR: a name that leads out of the folder, ignored"]


def test_a_dicomdir_with_a_missing_file_says_so(tmp_path):
    path = dicomdir(tmp_path)
    files, _ = list_dicomdir(SourceFile(str(path), "DICOMDIR"))
    os.remove(files[1].path)
    left, notes = list_dicomdir(SourceFile(str(path), "DICOMDIR"))
    assert len(left) == 2
    assert notes[0].endswith("is missing")


def test_a_damaged_dicomdir_is_refused(tmp_path):
    path = touch(tmp_path / "DICOMDIR")
    with pytest.raises(Refusal, match="F17"):
        list_dicomdir(SourceFile(str(path), "DICOMDIR"))
