"""Store phantom patients in the study database: patches, nodes, labels and pathology."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from db import labels, pathology, studies
from db.labels import LabelRecord
from db.patchstore import PatchStore
from db.records import PatchFileRecord, PatientRecord
from db.session import Database
from engines.patch import SPEC
from lnscore.phantom.patients import PatientPlan, birth_date, patient_id, sex
from lnscore.phantom.records import FilledPatient, PatientToFill
from lnscore.pseudonym import Pseudonyms
from lnscore.stations.storing import name_stations

TRUTH, RADIOLOGIST = "phantom-truth", "radiologist"
"""Names of two readers: one with the true label of every node, one with the labels for training."""


def tasks(plans: Iterable[PatientPlan], pseudonyms: Pseudonyms) -> Iterator[PatientToFill]:
    """Yield every planned patient with the pseudonymous data that ingest would store."""
    for plan in plans:
        born = birth_date(plan.number)
        yield PatientToFill(
            plan,
            PatientRecord(
                pseudo_key=pseudonyms.patient("", patient_id(plan.number)),
                sex=sex(plan.number),
                birth_year=int(born[:4]),
                identity_check=pseudonyms.identity_check(born),
            ),
        )


def store(database: Database, patches: PatchStore, run_id: int, made: FilledPatient) -> None:
    """Write the patch file of one patient, then the patient's rows in one transaction.

    Raises:
        DatabaseError: The database or the patch store cannot be written.
    """
    sha256, masks_sha256 = patches.write(made.patches, made.masks)
    file = PatchFileRecord(sha256, masks_sha256, len(made.patches), SPEC.version, SPEC.hash)
    with database.begin() as session:
        added = studies.add_series(session, replace(made.record, patch_file=file), run_id)
        ids = labels.node_ids(session, added.series_id)
        readers = (TRUTH, RADIOLOGIST) if made.labelled else (TRUTH,)
        given = [
            LabelRecord(ids[uid], reader, int(malignant), "phantom")
            for reader in readers
            for uid, malignant in made.malignant.items()
        ]
        labels.add(session, given)
        pathology.add_report(session, made.report)
        name_stations(session)
