"""Run an ingest: give files to the workers and store what they read in the database.

Only this module writes. In the first pass, workers read the header of every file. In the
second pass, each task of a worker reads one study. A study is stored in one transaction, and
its patch file is written before its row. After a killed run the user repeats the command; it
finds what was stored already.
"""

import hashlib
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from db import audit, quarantine, runs, studies
from db.errors import IdentityConflict
from db.patchstore import PatchStore
from db.records import PatchFileRecord, RefusedRecord
from db.session import Database, Session
from engines.patch import SPEC
from lnscore import console
from lnscore.dicom.headers import FileHeader
from lnscore.dicom.sources import (
    FoundFiles,
    SourceFile,
    Unpacking,
    list_dicomdir,
    sha256_of,
    unpack,
)
from lnscore.errors import EXIT_ERROR, Refusal
from lnscore.ingest.first_pass import Headers, in_chunks, read_headers
from lnscore.ingest.options import IngestOptions
from lnscore.ingest.studies import SortedHeaders, StudyFiles, sort_studies, unusable_dates
from lnscore.ingest.summary import IngestSummary
from lnscore.ingest.task import SeriesResult, StudyResult, StudyTask
from lnscore.ingest.worker import read_study
from lnscore.pseudonym import Pseudonyms, open_pseudonyms
from lnscore.quarantine_rows import record_of
from lnscore.settings import Settings, actor
from lnscore.stations.storing import name_stations
from lnscore.version import version
from lnscore.workers import TaskResult, Workers


def ingest(
    database: Database,
    found: FoundFiles,
    settings: Settings,
    options: IngestOptions,
    workers: Workers,
) -> IngestSummary:
    """Ingest the files that were found; the caller holds the lock and owns the workers."""
    pseudonyms = _pseudonyms(database, settings)
    with database.begin() as session:
        run_id = runs.start(session, "ingest", sys.argv[1:], version())
        audit.record(session, actor(), "ingest", f"run {run_id}")
    summary, exit_code = IngestSummary(notes=list(found.notes)), EXIT_ERROR
    ingesting = _Ingesting(database, PatchStore(settings.store_root), run_id, workers, summary)
    try:
        with _scratch(settings.unpack_root) as folder:
            files = found.files + ingesting.opened(found, folder)
            headers = ingesting.headers(files)
            ingesting.store_all(sort_studies(headers, pseudonyms), options)
        exit_code = summary.exit_code
    finally:
        with database.begin() as session:
            runs.finish(session, run_id, exit_code, summary.counts())
    return summary


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Provide an empty folder for unpacked archives, and delete it afterwards.

    Files that a killed run left in it are deleted first.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pseudonyms(database: Database, settings: Settings) -> Pseudonyms:
    """Open the pseudonyms; create a new secret only if the database holds no patient yet."""
    with database.read() as session:
        known = studies.any_patient(session)
    return open_pseudonyms(settings.secret_path, create=not known)


class _Ingesting:
    """One ingest run with its database, patch store, workers and summary."""

    def __init__(
        self,
        database: Database,
        store: PatchStore,
        run_id: int,
        workers: Workers,
        summary: IngestSummary,
    ) -> None:
        self.database, self.store, self.run_id = database, store, run_id
        self.workers, self.summary = workers, summary

    def opened(self, found: FoundFiles, folder: Path) -> list[SourceFile]:
        """Unpack the archives and read the DICOMDIRs; return the files that they hold or list."""
        tasks = []
        for number, archive in enumerate(found.archives):
            inside = folder / str(number)
            inside.mkdir(parents=True, mode=0o700)
            tasks.append(Unpacking(archive, str(inside)))
        files: list[SourceFile] = []
        for done in self.workers.map(unpack, tasks):
            if done.value is None:
                self._refuse_file(done.task.archive, done, "archive")
            else:
                files += done.value
        for done in self.workers.map(list_dicomdir, found.dicomdirs):
            if done.value is None:
                self._refuse_file(done.task, done, "file")
            else:
                files += done.value[0]
                self.summary.notes += done.value[1]
        return files

    def headers(self, files: list[SourceFile]) -> list[FileHeader]:
        """Read the header of every file; refuse each file that cannot be read."""
        headers: list[FileHeader] = []
        self.summary.files = len(files)
        with console.progress("reading headers", "files") as advance:
            for part in self._chunks(files):
                headers += part.headers
                for source, refusal in part.refused:
                    self._refuse_file(source, TaskResult(source, refusal=refusal), "file")
                if part.other:
                    self.summary.skipped["not DICOM"] += part.other
                advance(len(headers), len(files))
        return headers

    def _chunks(self, files: list[SourceFile]) -> Iterator[Headers]:
        """Read headers in chunks; if a worker crashes on a chunk, read its files one by one."""
        again: list[SourceFile] = []
        for done in self.workers.map(read_headers, in_chunks(files)):
            if done.value is not None:
                yield done.value
            else:
                again += done.task
        for done in self.workers.map(read_headers, [(source,) for source in again]):
            if done.value is not None:
                yield done.value
            else:
                self._refuse_file(done.task[0], done, "file")

    def store_all(self, found: SortedHeaders, options: IngestOptions) -> None:
        """Read every study in a worker and store it; a study that fails does not stop others."""
        summary = self.summary
        summary.studies, summary.skipped = len(found.studies), summary.skipped + found.skipped
        tasks = self._tasks(found, options)
        for orphan in found.orphans:
            self._refuse_file(SourceFile(orphan.path, orphan.shown), _orphan(orphan), "mask")
        with console.progress("ingesting", "studies") as advance:
            for number, done in enumerate(self.workers.map(read_study, tasks), 1):
                if done.value is not None:
                    self._store(done.task, done.value)
                else:
                    self._refuse_study(done.task.study.study_uid, done)
                advance(number, len(tasks))

    def _tasks(self, found: SortedHeaders, options: IngestOptions) -> list[StudyTask]:
        home = _home_of_named_files(found.studies, options)
        tasks = []
        for files in found.studies:
            for one in files.images[:1]:
                if unusable_dates(one.who):
                    self.summary.notes.append(f"{one.shown}: S13, a date that is none, left empty")
            if files.study is None:
                self._refuse_study(files.study_uid, TaskResult(files, refusal=files.refusal))
                continue
            known = {
                uid: stored.content_sha256 if self._has_files(stored) else None
                for uid, stored in self._usable(files.study_uid).items()
            }
            mine = options if files.study_uid == home else replace(options, masks=(), points=(),
                                                                   stations=None)  # fmt: skip
            slices = tuple(one for image in files.images for one in image.slices)
            tasks.append(StudyTask(files.study, slices, tuple(files.masks), mine, known))
        return tasks

    def _usable(self, study_uid: str) -> dict[str, studies.UsableSeries]:
        with self.database.read() as session:
            return studies.usable_series(session, study_uid)

    def _has_files(self, stored: studies.UsableSeries) -> bool:
        return all(self.store.path(sha256).is_file() for sha256 in stored.files)

    def _store(self, task: StudyTask, result: StudyResult) -> None:
        self.summary.skipped += {"localizer": result.localizers} if result.localizers else {}
        self.summary.series["same"] += len(result.same)
        usable = [one for one in result.series if _may_replace(one, task)]
        self.summary.series["kept"] += len(result.series) - len(usable)
        ready = [self._with_patches(one) for one in usable]
        try:
            with self.database.begin() as session:
                outcomes = [studies.add_series(session, one, self.run_id) for one in ready]
                if any(node.station for one in ready for node in one.nodes):
                    name_stations(session)
                quarantine.resolve(session, sha256s=result.used)
                for one in ready:
                    if one.status != "quarantined":
                        quarantine.resolve(session, series_uid=one.series_uid)
                self._refuse(session, result.refused)
        except IdentityConflict as conflict:
            refusal = Refusal(conflict.code, conflict.found, conflict.wanted, conflict.fix)
            self._refuse_study(task.study.study_uid, TaskResult(task, refusal=refusal))
            return
        for record, added in zip(ready, outcomes, strict=True):
            aside = record.status if record.status != "ready" else added.outcome
            self.summary.series["same" if added.outcome == "same" else aside] += 1
            self.summary.nodes += 0 if added.outcome == "same" else added.node_count
            if added.outcome == "same" and record.patch_file is not None:
                self._note_missing_files(task.study.study_uid, record.series_uid)

    def _note_missing_files(self, study_uid: str, series_uid: str) -> None:
        """Note that an unchanged series lacked files, and whether they are there again."""
        if self._has_files(self._usable(study_uid)[series_uid]):
            told = "its patch files were missing and are written again"
        else:
            told = (
                "its patch files are missing, and this version cuts other patches; restore the "
                "folder of patches from the backup"
            )
        self.summary.notes.append(f"series {series_uid}: {told}")

    def _with_patches(self, result: SeriesResult) -> studies.SeriesRecord:
        """Write the patch file and return the series' record, which names it.

        The file is written before the row, because a row must never name a missing file.
        """
        if result.patches is None:
            return result.record
        sha256, masks_sha256 = self.store.write(result.patches, result.masks)
        count = len(result.patches)
        file = PatchFileRecord(sha256, masks_sha256, count, SPEC.version, SPEC.hash)
        return replace(result.record, patch_file=file)

    def _refuse(self, session: Session, refused: Iterable[RefusedRecord]) -> None:
        for one in refused:
            quarantine.add(session, one)
            self.summary.refused.append(one)

    def _refuse_file(self, source: SourceFile, done: TaskResult, scope: str) -> None:
        self._refuse_alone(_refused(done, _sha256(source.path), scope, source.shown))

    def _refuse_study(self, study_uid: str, done: TaskResult) -> None:
        sha256 = hashlib.sha256(study_uid.encode()).hexdigest()
        record = _refused(done, sha256, "study", f"study {study_uid}")
        self._refuse_alone(replace(record, study_uid=study_uid))

    def _refuse_alone(self, record: RefusedRecord) -> None:
        with self.database.begin() as session:
            self._refuse(session, [record])


def _may_replace(result: SeriesResult, task: StudyTask) -> bool:
    """Return whether a series may replace the stored one.

    An unusable series never replaces a usable one: otherwise a broken copy, or a copy without
    masks, would delete scores.
    """
    return result.record.status == "ready" or result.record.series_uid not in task.known


def _home_of_named_files(found: Sequence[StudyFiles], options: IngestOptions) -> str | None:
    """Return the UID of the study that --masks, --points and --stations belong to."""
    if not options.named:
        return None
    series = {
        one.series_uid.split("#")[0]: files.study_uid
        for files in found for image in files.images for one in image.slices
        if "LOCALIZER" not in one.image_type
    }  # fmt: skip
    if options.series is None and len(series) == 1:
        return next(iter(series.values()))
    wanted = (options.series or "").split("#")[0]
    if wanted in series:
        return series[wanted]
    listed = ", ".join(sorted(series)[:5]) or "none"
    raise Refusal(
        "S14",
        f"{len(series)} CT series that --masks, --points or --stations could belong to ({listed})",
        "one" if options.series is None else f"series {options.series}",
        "Name it with --series, or ingest its folder alone.",
    )


def _orphan(mask: FileHeader) -> TaskResult:
    refusal = Refusal(
        "S17",
        f"a {mask.kind.upper()} without the CT that it was drawn on",
        "both among the files",
        "Ingest it together with its CT.",
    )
    return TaskResult(mask, refusal=refusal)


def _refused(done: TaskResult, sha256: str, scope: str, path: str) -> RefusedRecord:
    if done.refusal is None:
        raise ValueError("a task that neither ended nor was refused")
    return record_of(done.refusal, sha256, scope, path, detail=done.traceback)


def _sha256(path: str) -> str:
    """Return the SHA-256 of a file, or of its path if the file cannot be read."""
    try:
        return sha256_of(path)
    except OSError:
        return hashlib.sha256(path.encode()).hexdigest()
