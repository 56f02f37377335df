"""Build scans from the CT slices of one study; an unusable series is returned with its reason."""

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from db.records import InstanceRecord
from lnscore.dicom.pixels import fingerprint
from lnscore.dicom.series import SliceStack, split_series
from lnscore.dicom.slice_headers import SliceHeader
from lnscore.dicom.volume import Scan, place_stack
from lnscore.errors import Refusal

HASH_THREADS = 2


@dataclass(frozen=True)
class UsableScan:
    """A usable scan and the files that it was read from."""

    scan: Scan
    instances: tuple[InstanceRecord, ...]


@dataclass(frozen=True)
class UnusableScan:
    """A series, or one of its stacks, that cannot be used."""

    series_uid: str
    for_uid: str
    refusal: Refusal
    instances: tuple[InstanceRecord, ...]
    path: str


@dataclass(frozen=True)
class StudyScans:
    """Usable and unusable scans of a study, and the number of localizer images."""

    ready: list[UsableScan]
    failed: list[UnusableScan]
    localizers: int


def ready_scans(
    slices: Sequence[SliceHeader], study_uid: str, fill_gaps: int, *, assume_hu: bool
) -> StudyScans:
    """Hash the files of every series and build its scans; a failed series stops no other."""
    scans = StudyScans([], [], 0)
    localizers = 0
    by_series: dict[str, list[SliceHeader]] = defaultdict(list)
    for one in slices:
        by_series[one.series_uid].append(one)
    for uid in sorted(by_series):
        group = sorted(by_series[uid], key=lambda one: one.path)
        hashes, problem = _hashes(group)
        try:
            if problem is not None:
                raise problem
            stacks, stray = split_series(group, hashes)
        except Refusal as refusal:
            scans.failed.append(_failure(SliceStack(uid, tuple(group)), hashes, refusal))
            continue
        localizers += stray
        for stack in stacks:
            try:
                scan = place_stack(stack, study_uid, fill_gaps, assume_hu=assume_hu)
                scans.ready.append(UsableScan(scan, _instances(stack.slices, hashes)))
            except Refusal as refusal:
                scans.failed.append(_failure(stack, hashes, refusal))
    return StudyScans(scans.ready, scans.failed, localizers)


def _hashes(slices: Sequence[SliceHeader]) -> tuple[dict[str, str], Refusal | None]:
    """Return the SHA-256 of every file by path, and the refusal of the first truncated file.

    Hashing releases Python's lock, so two threads take half the time if a core is free.
    """
    files = {one.path: one.pixels for one in slices}
    with ThreadPoolExecutor(HASH_THREADS) as threads:
        found = dict(zip(files, threads.map(fingerprint, files, files.values()), strict=True))
    problems = (problem for _, problem in found.values() if problem)
    return {path: sha256 for path, (sha256, _) in found.items()}, next(problems, None)


def _failure(stack: SliceStack, hashes: dict[str, str], refusal: Refusal) -> UnusableScan:
    first = stack.slices[0]
    instances = _instances(stack.slices, hashes)
    return UnusableScan(stack.series_uid, first.for_uid, refusal, instances, first.shown)


def _instances(slices: Sequence[SliceHeader], hashes: dict[str, str]) -> tuple[InstanceRecord, ...]:
    """Return one record for each image UID (a multi-frame file is one image)."""
    unique = {one.sop_uid: one for one in slices}
    return tuple(
        InstanceRecord(uid, hashes[unique[uid].path], unique[uid].shown) for uid in sorted(unique)
    )
