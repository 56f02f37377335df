"""A split is stored once, and no patient is in two parts of a fold."""

import pytest
from sqlalchemy.exc import IntegrityError

from db import runs, splits, studies
from db.errors import DatabaseError
from db.schema import Patient, SplitMember
from db_rows import series, study

pytest_plugins = ["db_fixtures"]


@pytest.fixture
def session(database):
    with database.begin() as session:
        run_id = runs.start(session, "ingest", [], "0")
        for number in (1, 2, 3):
            studies.add_series(session, series(of=study(number)), run_id)
        yield session


@pytest.fixture
def patients(session):
    return [patient.id for patient in session.query(Patient).order_by(Patient.id)]


def test_a_split_is_stored_once(session, patients):
    one, two, three = patients
    folds = [{one: "train", two: "test", three: "unlabelled"}, {one: "test", two: "train"}]
    split_id = splits.store(session, "a", 0, folds)
    assert splits.store(session, "a", 0, folds) == split_id
    assert splits.members(session, split_id) == folds
    assert splits.find(session, "a") == split_id


def test_a_name_is_of_one_division(session, patients):
    splits.store(session, "a", 0, [{patients[0]: "train"}])
    with pytest.raises(DatabaseError, match=r"^D20: a split 'a' that divides"):
        splits.store(session, "a", 0, [{patients[0]: "test"}])


@pytest.mark.parametrize("other", ["validation", "unlabelled"])
def test_a_patient_in_two_parts_of_a_fold_is_impossible(session, patients, other):
    split_id = splits.store(session, "a", 0, [{patients[0]: "train"}])
    session.add(SplitMember(split_id=split_id, fold=0, patient_id=patients[0], part=other))
    with pytest.raises(IntegrityError), session.begin_nested():
        session.flush()
    session.expunge_all()


def test_a_patient_that_tests_in_two_folds_is_impossible(session, patients):
    folds = [{patients[0]: "test"}, {patients[0]: "test"}]
    with pytest.raises(IntegrityError), session.begin_nested():
        splits.store(session, "a", 0, folds)
