"""Engines are imported whole or not at all."""

import errno
import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from damaged_archive import damaged
from demo_bundle import DEMO, copy_demo, edit_manifest, edit_model
from engines import bundle as bundles
from engines.bundle import Bundle
from engines.errors import EngineError
from engines.protocol import Engine
from lnscore.engine_commands import importing as job
from lnscore.scoring import engine_choice

pytest_plugins = ["engine_folders"]


def zipped(folder: Path, archive: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(archive, "w") as opened:
        for file in sorted(folder.iterdir()):
            opened.write(file, prefix + file.name)
    return archive


def refused(source: Path, home: Path, **options: str) -> EngineError:
    with pytest.raises(EngineError) as caught:
        job.import_bundle(source, home, **options)
    left = [path.name for path in home.iterdir()] if home.exists() else []
    assert left == []
    return caught.value


def test_a_folder_is_imported_and_then_found_by_name(home: Path, mine: Path) -> None:
    done = job.import_bundle(mine, home)
    assert (done.new, done.bundle.path) == (True, home / "mine")
    assert engine_choice.show("mine", home).manifest == bundles.read(mine).manifest
    assert sorted(path.name for path in home.iterdir()) == ["mine"]


@pytest.mark.parametrize("prefix", ["", "mine/"])
def test_an_archive_is_imported_with_and_without_its_folder(
    prefix: str, home: Path, mine: Path, tmp_path: Path
) -> None:
    archive = zipped(mine, tmp_path / "mine.zip", prefix)
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert job.import_bundle(archive, home, sha256=sha256.upper()).new


def test_only_named_files_are_copied_never_a_plan(home: Path, mine: Path) -> None:
    (mine / "plans").mkdir()
    (mine / "plans" / "sm_89.plan").write_bytes(b"runs when it is loaded")
    (mine / "NOTES.txt").write_text("from the group")
    job.import_bundle(mine, home)
    assert sorted(path.name for path in (home / "mine").iterdir()) == sorted(
        path.name for path in DEMO.iterdir()
    )


def test_an_import_runs_the_graph_and_no_back_end_that_loads_plans(
    home: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, load = [], job.load.load

    def watched(bundle: Bundle, backend: str = "auto", *rest: Any) -> Engine:
        loaded.append(backend)
        return load(bundle, backend, *rest)

    monkeypatch.setattr(job.load, "load", watched)
    job.import_bundle(mine, home)
    assert loaded == ["onnx"]


def test_importing_again_changes_nothing(home: Path, mine: Path) -> None:
    job.import_bundle(mine, home)
    before = (home / "mine" / "manifest.json").stat().st_mtime_ns
    assert not job.import_bundle(mine, home).new
    assert (home / "mine" / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("as_folder", [True, False])
def test_another_sha256_is_refused(as_folder: bool, home: Path, mine: Path, tmp_path: Path) -> None:
    source = mine if as_folder else zipped(mine, tmp_path / "mine.zip")
    assert refused(source, home, sha256="0" * 64).code == "E13"


def test_a_name_that_is_taken_is_refused(home: Path, tmp_path: Path) -> None:
    other = edit_manifest(copy_demo(tmp_path / "other"), how_to_make_again="otherwise")
    error = refused(other, home)
    assert (error.code, error.found) == ("E12", "another engine named 'demo'")


def test_an_engine_that_does_not_reproduce_is_refused(home: Path, mine: Path) -> None:
    def shift(model) -> None:
        import numpy as np

        for tensor in model.graph.initializer:
            if tensor.name.endswith("fused_head.1.bias"):
                tensor.raw_data = (np.frombuffer(tensor.raw_data, np.float32) + 1).tobytes()

    assert refused(edit_model(mine, shift), home).code == "E09"


def test_a_source_that_is_not_there_is_refused(home: Path, tmp_path: Path) -> None:
    error = refused(tmp_path / "absent.zip", home)
    assert (error.code, error.found) == ("E01", "no engine at 'absent.zip'")


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil", "C:/evil", "..\\e"])
def test_an_archive_with_a_path_outside_is_refused(name: str, home: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(name, b"x")
    assert refused(tmp_path / "evil.zip", home).code == "E13"


def test_an_archive_of_too_many_files_is_refused(home: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for number in range(job.MAX_FILES + 1):
            archive.writestr(str(number), b"")
    assert "65 files of 0 bytes" in refused(tmp_path / "many.zip", home).found


def test_an_archive_that_unpacks_too_large_is_refused_unread(
    home: Path, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "MAX_UNPACKED_BYTES", 1000)
    archive = zipped(mine, tmp_path / "mine.zip")
    assert refused(archive, home).wanted == "at most 64 files and 1000 bytes"


def test_what_is_no_archive_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_bytes(b"PK\x03\x04 garbage")
    assert refused(tmp_path / "mine.zip", home).code == "E13"


@pytest.mark.parametrize("how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_damaged_inside_what_is_packed_is_refused(
    how: int, home: Path, tmp_path: Path
) -> None:
    error = refused(damaged(tmp_path / "mine.zip", how), home)
    assert (error.code, error.wanted) == ("E13", "a plain zip archive")


def test_a_full_disk_is_not_the_archives_fault(
    home: Path, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    archive = zipped(mine, tmp_path / "mine.zip")
    monkeypatch.setattr(zipfile.ZipFile, "extract", full)
    with pytest.raises(OSError, match="No space left"):
        job.import_bundle(archive, home)
