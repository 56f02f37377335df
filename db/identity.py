"""Find a patient, study or series by its identifier; contradictory records are refused."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.errors import IdentityConflict
from db.schema import Patient, Series, Study


def find_patient(session: Session, pseudo_key: str, identity_check: str | None) -> Patient | None:
    """Return the patient with this key, or None.

    Raises:
        IdentityConflict: D12 the stored patient has another birth date.
    """
    patient = session.scalar(select(Patient).filter_by(pseudo_key=pseudo_key))
    checks = {identity_check, patient.identity_check if patient else None} - {None}
    if len(checks) > 1:
        raise IdentityConflict(
            "D12",
            "a patient number that is known with another birth date",
            "one person for one number and issuer",
            "Correct the PatientID, or its issuer, and send the study again.",
        )
    return patient


def find_study(session: Session, study_uid: str, patient: Patient | None) -> Study | None:
    """Return the study with this UID, or None.

    Raises:
        IdentityConflict: D13 the stored study belongs to another patient.
    """
    study = session.scalar(select(Study).filter_by(study_uid=study_uid))
    if study is not None and (patient is None or study.patient_id != patient.id):
        raise IdentityConflict(
            "D13",
            f"study {study_uid} under another patient than before",
            "one patient for one study",
            "Find out whose study it is; send it again under that PatientID.",
        )
    return study


def find_current_series(session: Session, series_uid: str, study: Study | None) -> Series | None:
    """Return the current revision of a series, or None.

    Raises:
        IdentityConflict: D14 the stored series belongs to another study.
    """
    current = session.scalar(
        select(Series).where(Series.series_uid == series_uid, Series.status != "superseded")
    )
    if current is not None and (study is None or current.study_id != study.id):
        raise IdentityConflict(
            "D14",
            f"series {series_uid} in another study than before",
            "one study for one series UID",
            "Export one of the two with a UID of its own.",
        )
    return current
