"""Write the folder of one study: its facts as `study.json`, and its page with the pictures."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from db import schema
from db.errors import DatabaseError
from db.patchstore import PatchStore
from lnscore import output_files
from lnscore.errors import CODES
from lnscore.pathology.joining import JoinedStudy
from lnscore.report import facts as facts_json
from lnscore.report import outlines, pages, pathology_words, pictures, station_table
from lnscore.report.collecting import study_facts
from lnscore.report.facts import NodeFacts, Problem, StudyFacts
from lnscore.report.pathology import with_pathology

PAGE = "index.html"
_KEY = re.compile(r'<meta name="lnscore-content" content="([0-9a-z]+)">')


@dataclass(frozen=True)
class StudyReport:
    """Result of reporting one study.

    Attributes:
        facts: Facts of the study, with the problems found while its pictures were drawn.
        is_new: Whether the page was written; otherwise it was current.
        is_whole: Whether no picture is missing.
    """

    facts: StudyFacts
    is_new: bool
    is_whole: bool


def folder(out: Path, name: str) -> Path:
    """Return the folder of a study in a report."""
    return out / "studies" / name


def make(
    study: schema.Study,
    refused: Iterable[schema.Quarantine],
    joined: JoinedStudy | None,
    store: PatchStore,
    out: Path,
) -> StudyReport:
    """Write the JSON file of one study, and its page unless it is current.

    A page is current if it was made from the same facts (with pathology), patches and
    templates; then the patch store is not read. If patches are missing or damaged, the page is
    written without their pictures.

    Args:
        study: Row of the study with everything that `db.reading.study` loads.
        refused: Unresolved quarantine rows of the study.
        joined: The study joined with the patient's pathology; None if there is none.
        store: Patch store.
        out: Folder of the report.

    Raises:
        Refusal: R02, a file cannot be written.
    """
    facts = study_facts(study, refused)
    if joined is not None:
        facts = with_pathology(facts, joined)
    place = folder(out, facts.study)
    if content_key(place / PAGE) == (key := _key(study, facts)):
        output_files.write(place / "study.json", facts_json.text(facts))
        return StudyReport(facts, is_new=False, is_whole=True)
    shown, lost = _pictures(study, facts, store)
    if lost:
        problems = [*facts.problems, *lost]
        facts = facts.model_copy(update={"problems": problems})
        key = _key(study, facts)
    is_new = content_key(place / PAGE) != key
    if is_new:
        output_files.write(place / PAGE, pages.study_page(facts, shown, key))
    output_files.write(place / "study.json", facts_json.text(facts))
    return StudyReport(facts, is_new, is_whole=not lost)


def content_key(page: Path) -> str:
    """Return the content key of a written page; empty if there is no page."""
    found = _KEY.search(output_files.head(page))
    return found[1] if found else ""


def _key(study: schema.Study, facts: StudyFacts) -> str:
    """Return a hash of everything that a page is made from."""
    files = [
        (one.patch_file.sha256, one.patch_file.masks_sha256)
        for one in study.series
        if one.patch_file is not None
    ]
    places = [
        (node.tracking_uid, node.patch_index, node.patch_affine)
        for one in study.series
        for node in one.nodes
    ]
    digest = hashlib.sha256(facts_json.text(facts).encode())
    digest.update(repr((sorted(map(str, files)), sorted(map(str, places)))).encode())
    digest.update(makers_sha256())
    return digest.hexdigest()


@cache
def makers_sha256() -> bytes:
    """Return the SHA-256 of the code and the templates that make a page.

    A page that other code or other templates made is out of date.
    """
    parts = (pictures, outlines, pages, pathology_words, station_table)
    code = (Path(str(part.__file__)).read_bytes() for part in parts)
    return hashlib.sha256(b"\n".join([*code, pages.template_key()])).digest()


def _pictures(
    study: schema.Study, facts: StudyFacts, store: PatchStore
) -> tuple[dict[int, Sequence[pictures.Picture]], list[Problem]]:
    """Draw the pictures of each node by its number; return a problem for each series without."""
    numbers = {(node.series_uid, node.tracking_uid): node for node in facts.nodes}
    shown: dict[int, Sequence[pictures.Picture]] = {}
    lost = []
    for one in sorted(study.series, key=lambda series: series.series_uid):
        try:
            shown |= _drawn(one, numbers, store) if one.nodes else {}
        except (DatabaseError, OSError, IndexError) as error:
            code = error.code if isinstance(error, DatabaseError) else "D17"
            lost.append(_lost(one, study.study_uid, code))
    return shown, lost


def _drawn(
    series: schema.Series, nodes: Mapping[tuple[str, str], NodeFacts], store: PatchStore
) -> dict[int, Sequence[pictures.Picture]]:
    patches, masks = _verified(series, store)
    shown = {}
    for row in series.nodes:
        mask = None if masks is None or row.mask_sha256 is None else masks[row.patch_index]
        shown[nodes[series.series_uid, row.tracking_uid].number] = pictures.draw(
            np.asarray(patches[row.patch_index]),
            None if mask is None else np.asarray(mask),
            np.array(row.patch_affine, float),
            np.array([row.centroid_x_mm, row.centroid_y_mm, row.centroid_z_mm]),
        )
    return shown


def _verified(series: schema.Series, store: PatchStore) -> tuple[np.ndarray, np.ndarray | None]:
    """Return patches and masks after checking their files against the database."""
    file = series.patch_file
    if file is None:
        raise DatabaseError("D16", "nodes without a patch file", "their patches", "Ingest again.")
    for sha256 in filter(None, (file.sha256, file.masks_sha256)):
        store.verify(sha256)
    masks = None if file.masks_sha256 is None else store.masks(file.masks_sha256)
    return store.patches(file.sha256), masks


def _lost(series: schema.Series, study_uid: str, code: str) -> Problem:
    """Return the problem of a series without pictures; unlike the store's error, without path."""
    return Problem(
        state="refused",
        scope="series",
        code=code,
        found=f"no pictures: {CODES[code]}",
        wanted="the patch files that the database names, with their bytes",
        fix="Restore the folder of patches from the backup; or remove the file if it is damaged, "
        "and ingest the study again.",
        study_uid=study_uid,
        series_uid=series.series_uid,
        sha256=series.patch_file.sha256 if series.patch_file else series.content_sha256,
        last_seen=None,
        tries=1,
    )


def unreadable(study_uid: str, error: Exception) -> Problem:
    """Return the problem of a study that cannot be reported.

    Only the type of the error is named, because its text may hold a patient's name.
    """
    return Problem(
        state="refused",
        scope="study",
        code="R03",
        found=f"{type(error).__name__} while the study was read for this report",
        wanted="rows that fit together",
        fix="Check the database with `lnscore doctor`, then report again.",
        study_uid=study_uid,
        series_uid=None,
        sha256=hashlib.sha256(study_uid.encode()).hexdigest(),
        last_seen=None,
        tries=1,
    )
