"""Read one study in a worker: from its files to series with nodes and patches.

The result depends only on the task. What cannot be used is returned as a refusal together with
the rest; nothing is written here.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from db.records import RefusedRecord, SeriesRecord
from engines.patch import SPEC
from lnscore.dicom.sources import sha256_of
from lnscore.dicom.volume import ASSUMED, FILLED
from lnscore.errors import Refusal
from lnscore.ingest.options import IngestOptions
from lnscore.ingest.scans import UnusableScan, UsableScan, ready_scans
from lnscore.ingest.task import SeriesResult, StudyResult, StudyTask
from lnscore.masks.reading import BadMask, MaskFile, read_dicom_masks, read_named_masks
from lnscore.masks.regions import WAITING
from lnscore.nodes.cutting import CutNodes, cut_nodes
from lnscore.nodes.station_map import StationMap, read_station_map
from lnscore.quarantine_rows import record_of

INGEST_VERSION = 1
"""Increase this number when the same files would give other nodes or patches than before."""
NO_MASKS = Refusal(
    "S12", "no node masks", "a SEG or RTSTRUCT of the series", "Send the masks when they are drawn."
)


def read_study(task: StudyTask) -> StudyResult:
    """Read and check one study, measure its nodes and cut their patches."""
    options, study_uid = task.options, task.study.study_uid
    scans = ready_scans(task.slices, study_uid, options.fill_gaps, assume_hu=options.assume_hu)
    read, bad = read_dicom_masks(task.masks, [one.scan for one in scans.ready])
    if options.named:
        target = _target(scans.ready, options.series)
        named = read_named_masks(options.masks, options.points, options.coord, target.scan)
        read, bad = read + named[0], bad + named[1]
    results = [_failed(one, task) for one in scans.failed]
    results += [_finish(one, read, bad, task) for one in _wanted(scans.ready, read, bad)]
    orphans = [_mask_refusal(one, study_uid) for one in bad]
    return StudyResult(
        tuple(chain.from_iterable(one.series for one in results)),
        tuple(chain.from_iterable(one.same for one in results)),
        (*orphans, *chain.from_iterable(one.refused for one in results)),
        scans.localizers,
        tuple(one.annotation.sha256 for one in read),
    )


def _target(ready: Sequence[UsableScan], series: str | None) -> UsableScan:
    """Return the scan that the files named on the command line belong to."""
    fitting = [one for one in ready if series in (None, one.scan.grid.series_uid)]
    if len(fitting) != 1:
        raise Refusal(
            "S14",
            f"{len(fitting)} CT series that the given masks or points could belong to",
            "one",
            "Name it with --series.",
        )
    return fitting[0]


def _wanted(
    ready: Sequence[UsableScan], read: Sequence[MaskFile], bad: Sequence[BadMask]
) -> list[UsableScan]:
    """Return the scans that have masks, or all scans (waiting for masks) if none has any."""
    drawn = {one.series_uid for one in [*read, *bad]}
    return [one for one in ready if one.scan.grid.series_uid in drawn] or list(ready)


def _finish(
    ready: UsableScan, read: Sequence[MaskFile], bad: Sequence[BadMask], task: StudyTask
) -> StudyResult:
    """Return one scan with its masks: unchanged, newly cut, or put aside with a reason."""
    uid = ready.scan.grid.series_uid
    mine = [one for one in read if one.series_uid == uid]
    refused = [one for one in bad if one.series_uid == uid]
    content = _content(ready, mine, refused, task.options)
    if task.known.get(uid) == content:
        return StudyResult(same=(uid,))
    if not mine:
        reason = refused[0].refusal if refused else NO_MASKS
        aside = _aside(reason)
        return StudyResult((SeriesResult(_record(ready, task, content, aside, reason)),))
    found = [
        (one.annotation, region)
        for one in mine
        for region in one.annotated.regions
        if task.options.wants(region.label)
    ]
    cut = cut_nodes(ready.scan, found, _stations(task.options, ready))
    record = _record(ready, task, content, "ready", None, mine, cut)
    left_out = [(one.annotation, r) for one in mine for r in one.annotated.refusals]
    left_out += [(mine[0].annotation, r) for r in cut.refusals]
    refusals = tuple(
        record_of(
            refusal,
            _digest({"mask": mask.sha256, "region": refusal.found}),  # one row for each region
            "mask",
            mask.path,
            study_uid=task.study.study_uid,
            series_uid=uid,
        )
        for mask, refusal in left_out
    )
    return StudyResult((SeriesResult(record, cut.patches, cut.masks),), refused=refusals)


def _stations(options: IngestOptions, ready: UsableScan) -> StationMap | None:
    if options.stations is None or options.series not in (None, ready.scan.grid.series_uid):
        return None
    return read_station_map(Path(options.stations), ready.scan.grid)


def _aside(reason: Refusal) -> str:
    waits = reason.code in WAITING or reason is NO_MASKS
    return "waiting" if waits else "quarantined"


def _record(
    ready: UsableScan,
    task: StudyTask,
    content: str,
    status: str,
    reason: Refusal | None,
    masks: Sequence[MaskFile] = (),
    cut: CutNodes | None = None,
) -> SeriesRecord:
    scan = ready.scan
    geometry = scan.grid.geometry
    return SeriesRecord(
        study=task.study,
        series_uid=scan.grid.series_uid,
        status=status,
        content_sha256=content,
        for_uid=scan.grid.for_uid or None,
        code=reason.code if reason else None,
        reason=str(reason) if reason else None,
        geometry={
            "affine": geometry.affine.tolist(),
            "shape": list(geometry.shape),
            "flags": sorted(set(scan.flags)),
        },
        facts=dict(next(one for one in scan.slices if one).scanner),
        instances=list(ready.instances),
        annotations=[one.annotation for one in masks],
        nodes=cut.nodes if cut else [],
    )


def _failed(failed: UnusableScan, task: StudyTask) -> StudyResult:
    """Return the row of an unusable series and its refusal."""
    content = _digest({"images": _images(failed.instances), "code": failed.refusal.code})
    record = SeriesRecord(
        study=task.study,
        series_uid=failed.series_uid,
        status="quarantined",
        content_sha256=content,
        for_uid=failed.for_uid or None,
        code=failed.refusal.code,
        reason=str(failed.refusal),
        instances=list(failed.instances),
    )
    refused = record_of(
        failed.refusal,
        content,
        "series",
        failed.path,
        study_uid=task.study.study_uid,
        series_uid=failed.series_uid,
    )
    return StudyResult((SeriesResult(record),), refused=(refused,))


def _mask_refusal(bad: BadMask, study_uid: str) -> RefusedRecord:
    return record_of(
        bad.refusal,
        bad.sha256,
        "mask",
        bad.path,
        study_uid=study_uid,
        series_uid=bad.series_uid,
    )


def _content(
    ready: UsableScan, read: Sequence[MaskFile], bad: Sequence[BadMask], options: IngestOptions
) -> str:
    """Return a hash of everything that this revision of the series was made from.

    An option is included only if it changed the result.
    """
    return _digest(
        {
            "version": INGEST_VERSION,
            "spec": SPEC.hash,
            "images": _images(ready.instances),
            "masks": sorted(one.annotation.sha256 for one in read),
            "refused": sorted(one.sha256 for one in bad),
            "fill_gaps": options.fill_gaps if FILLED in ready.scan.flags else 0,
            "assume_hu": ASSUMED in ready.scan.flags,
            "coord": options.coord if options.points else None,
            "stations": sha256_of(options.stations) if options.stations else None,
            "names": sorted(options.names),
        }
    )


def _images(instances: Iterable[Any]) -> list[list[str]]:
    return [[one.sop_uid, one.sha256] for one in instances]


def _digest(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
