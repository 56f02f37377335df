"""Sort file headers into studies: find which slices, masks and patient belong together."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from db.records import PatientRecord, StudyRecord
from lnscore.dicom.headers import FileHeader, PatientFacts
from lnscore.errors import Refusal
from lnscore.pseudonym import Pseudonyms

SEXES = ("F", "M", "O")


@dataclass(frozen=True)
class StudyFiles:
    """The files of one study.

    Attributes:
        study: Pseudonymous facts; None if the whole study is refused.
        refusal: Why the whole study is refused, if it is.
    """

    study_uid: str
    study: StudyRecord | None
    images: list[FileHeader]
    masks: list[FileHeader]
    refusal: Refusal | None = None


@dataclass
class SortedHeaders:
    """All headers, sorted into studies.

    Attributes:
        studies: Studies in the order of their UIDs.
        orphans: Masks whose CT is not among the files.
        skipped: Number of other files, by kind.
    """

    studies: list[StudyFiles] = field(default_factory=list)
    orphans: list[FileHeader] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def sort_studies(headers: Iterable[FileHeader], pseudonyms: Pseudonyms) -> SortedHeaders:
    """Group CT images by study and give every mask to the study of its CT.

    A mask that was stored as a separate study is given to the study with the same frame of
    reference, if there is exactly one.
    """
    images: dict[str, list[FileHeader]] = defaultdict(list)
    masks: dict[str, list[FileHeader]] = defaultdict(list)
    result = SortedHeaders()
    for one in headers:
        if one.kind in ("ct", "enhanced"):
            images[one.study_uid].append(one)
        elif one.kind in ("seg", "rtstruct"):
            masks[one.study_uid].append(one)
        else:
            result.skipped[one.what] += 1
    for uid in set(masks) - set(images):
        for mask in masks.pop(uid):
            home = _study_of_frame(mask.for_uid, images)
            (masks[home] if home else result.orphans).append(mask)
    for uid in sorted(images):
        result.studies.append(_study(uid, images[uid], masks.get(uid, []), pseudonyms))
    return result


def _study_of_frame(for_uid: str, images: dict[str, list[FileHeader]]) -> str | None:
    fitting = [
        uid for uid, files in images.items()
        if for_uid and any(s.for_uid == for_uid for file in files for s in file.slices)
    ]  # fmt: skip
    return fitting[0] if len(fitting) == 1 else None


def _study(
    uid: str, images: list[FileHeader], masks: list[FileHeader], pseudonyms: Pseudonyms
) -> StudyFiles:
    people = {(one.who.issuer, one.who.patient_id) for one in images}
    born = {one.who.birth_date for one in images} - {""}
    if len(people) > 1 or len(born) > 1:
        refusal = Refusal(
            "S11",
            f"{len(people)} PatientIDs and {len(born)} birth dates in one study",
            "one patient",
            "Find out which patient the study belongs to and send it again.",
        )
        return StudyFiles(uid, None, images, masks, refusal)
    if not images[0].who.patient_id:
        refusal = Refusal(
            "S10",
            "an empty PatientID",
            "a PatientID, which keeps the studies of one patient together",
            "Give every person an ID (a pseudonym will do) and send the study again.",
        )
        return StudyFiles(uid, None, images, masks, refusal)
    return StudyFiles(uid, _record(uid, images, pseudonyms), images, masks)


def _record(uid: str, images: Sequence[FileHeader], pseudonyms: Pseudonyms) -> StudyRecord:
    who = images[0].who
    born = _date(next((one.who.birth_date for one in images if one.who.birth_date), ""))
    patient = PatientRecord(
        pseudonyms.patient(who.issuer, who.patient_id),
        who.sex if who.sex in SEXES else "",
        int(born[:4]) if born else None,
        pseudonyms.identity_check(born),
    )
    return StudyRecord(patient, uid, _date(who.study_date), pseudonyms.accession(who.accession))


def unusable_dates(who: PatientFacts) -> bool:
    """Return whether the study date or the birth date is present but not a valid date."""
    return any(value and not _date(value) for value in (who.study_date, who.birth_date))


def _date(value: str) -> str | None:
    """Return a DICOM date as an ISO date, or None if it is not valid."""
    for form in ("%Y%m%d", "%Y.%m.%d"):  # ACR-NEMA, the predecessor of DICOM, used the second form
        try:
            return datetime.strptime(value, form).date().isoformat()
        except ValueError:
            continue
    return None
