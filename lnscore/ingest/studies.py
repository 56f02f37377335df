"""Headers to studies: which slices and masks belong together, and to which pseudonymous patient."""

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
        study: Pseudonymous facts, None where the study is refused as a whole.
        refusal: Why, if so.
    """

    study_uid: str
    study: StudyRecord | None
    images: list[FileHeader]
    masks: list[FileHeader]
    refusal: Refusal | None = None


@dataclass
class SortedHeaders:
    """All headers, sorted.

    Attributes:
        studies: In the order of their UIDs.
        orphans: Masks whose CT is not among the files.
        skipped: What else there was, by kind.
    """

    studies: list[StudyFiles] = field(default_factory=list)
    orphans: list[FileHeader] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def sort_studies(headers: Iterable[FileHeader], pseudonyms: Pseudonyms) -> SortedHeaders:
    """Group CT images by study and give every mask to the study of its CT.

    A mask stored as a study of its own goes to the one study with its frame of reference.
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
            "Find out whose study it is and send it again.",
        )
        return StudyFiles(uid, None, images, masks, refusal)
    if not images[0].who.patient_id:
        refusal = Refusal(
            "S10",
            "an empty PatientID",
            "one, so that the studies of a person stay together and apart from others'",
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
    """Whether a date is there and is none."""
    return any(value and not _date(value) for value in (who.study_date, who.birth_date))


def _date(value: str) -> str | None:
    """ISO date of a DICOM date, or None where it is not one."""
    for form in ("%Y%m%d", "%Y.%m.%d"):  # the second is ACR-NEMA's
        try:
            return datetime.strptime(value, form).date().isoformat()
        except ValueError:
            continue
    return None
