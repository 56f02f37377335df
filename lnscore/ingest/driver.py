"""The driver of an ingest: what workers read goes into the database. It alone writes.

First pass: every file's header, in workers. Second pass: one study a task, in workers.
A study is stored in one transaction, its patch file before its row; a killed run is
repeated and finds what it had stored.
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
from lnscore.refused import record_of
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
    """Ingest what was found; the caller holds the lock and owns the workers."""
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
    """A folder for unpacked archives, gone afterwards; what a killed run left goes first."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pseudonyms(database: Database, settings: Settings) -> Pseudonyms:
    """A new secret only for a database that knows no patient yet."""
    with database.read() as session:
        known = studies.any_patient(session)
    return open_pseudonyms(settings.secret_path, create=not known)


class _Ingesting:
    """One run: its database, its workers, what it has to say."""

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
        """Files inside archives and behind DICOMDIRs."""
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
        """Every usable header; what cannot be read is refused by file."""
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
        """Chunks of headers; a chunk that takes its worker down is read file by file."""
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
        """Read every study in a worker and store it; one study's failure is its own."""
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
            with self.database.read() as session:
                known = studies.usable_contents(session, files.study_uid)
            mine = options if files.study_uid == home else replace(options, masks=(), points=(),
                                                                   stations=None)  # fmt: skip
            slices = tuple(one for image in files.images for one in image.slices)
            tasks.append(StudyTask(files.study, slices, tuple(files.masks), mine, known))
        return tasks

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

    def _with_patches(self, result: SeriesResult) -> studies.SeriesRecord:
        """Write the patch file first: a row must never name one that is not there."""
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
    """Nothing unusable replaces what is usable: a broken or maskless copy costs no score."""
    return result.record.status == "ready" or result.record.series_uid not in task.known


def _home_of_named_files(found: Sequence[StudyFiles], options: IngestOptions) -> str | None:
    """The study that --masks, --points and --stations are for."""
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
        f"{len(series)} CT series that --masks, --points or --stations could be of ({listed})",
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
    """Of the bytes, or of the name of a file that cannot be read."""
    try:
        return sha256_of(path)
    except OSError:
        return hashlib.sha256(path.encode()).hexdigest()
