"""Patients are divided, never nodes: 60/15/25, both classes everywhere, no one twice."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_training import make_cohort
from trainer.data.folds import (
    FOLDS,
    TEST,
    TRAIN,
    UNLABELLED_PART,
    VALIDATION,
    Fold,
    assign,
    check_fold,
    with_fewer_labels,
)
from trainer.errors import TrainerError


def test_four_folds_divide_labelled_patients_60_15_25() -> None:
    for fold in assign(make_cohort(patients=204, hidden=4), seed=0):
        counts = Counter(fold.parts.values())
        assert counts == {TRAIN: 120, VALIDATION: 30, TEST: 50, UNLABELLED_PART: 4}


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_every_labelled_patient_tests_once_and_trains_elsewhere(seed: int) -> None:
    cohort = make_cohort(patients=28)
    folds = assign(cohort, seed)
    tests = Counter(p for fold in folds for p, part in fold.parts.items() if part == TEST)
    assert set(tests) == set(range(1, 25))
    assert set(tests.values()) == {1}
    assert len(folds) == FOLDS


def test_unlabelled_patients_train_in_every_fold() -> None:
    for fold in assign(make_cohort(patients=28, hidden=6), seed=0):
        assert {p for p, part in fold.parts.items() if part == UNLABELLED_PART} == set(
            range(23, 29)
        )


def test_no_node_is_in_two_parts() -> None:
    cohort = make_cohort()
    for fold in assign(cohort, seed=0):
        parts = [fold.nodes(cohort, part) for part in (TRAIN, VALIDATION, TEST, UNLABELLED_PART)]
        together = np.concatenate(parts)
        assert len(together) == len(set(together.tolist())) == len(cohort.nodes)


def test_an_unlabelled_node_of_a_labelled_patient_is_in_no_part() -> None:
    cohort = make_cohort()
    cohort.labels[1] = -1
    fold = assign(cohort, seed=0)[0]
    for part in (TRAIN, VALIDATION, TEST, UNLABELLED_PART):
        assert 1 not in fold.nodes(cohort, part)


def test_the_same_seed_gives_the_same_folds_and_another_gives_others() -> None:
    cohort = make_cohort()
    assert assign(cohort, 1) == assign(cohort, 1) != assign(cohort, 2)


def test_fewer_than_four_patients_of_a_class_are_refused() -> None:
    cohort = make_cohort()
    cohort.labels[cohort.labels == 1] = 0
    cohort.labels[:6:2] = 1
    with pytest.raises(TrainerError) as refusal:
        assign(cohort, 0)
    assert str(refusal.value) == (
        "T07: 3 patients with a node labelled malignant; wanted at least 4, so that every fold "
        "has one to test on. Label more patients' nodes."
    )


def test_a_part_without_a_class_is_refused() -> None:
    cohort = make_cohort()
    fold = assign(cohort, 0)[2]
    cohort.labels[fold.nodes(cohort, VALIDATION)] = 0
    with pytest.raises(TrainerError, match=r"^T08: fold 2: no malignant node in its validation"):
        check_fold(fold, cohort)


def test_numbers_and_order_of_the_database_do_not_matter() -> None:
    """The same patients ingested in another order are divided alike."""
    cohort = make_cohort(patients=28)
    order = np.random.default_rng(0).permutation(len(cohort.nodes))
    nodes = tuple(
        replace(cohort.nodes[i], patient_id=1000 - cohort.nodes[i].patient_id) for i in order
    )
    other = replace(cohort, nodes=nodes, labels=cohort.labels[order])
    for fold, again in zip(assign(cohort, 3), assign(other, 3), strict=True):
        assert {1000 - patient: part for patient, part in fold.parts.items()} == again.parts


def _in_part(fold: Fold, part: str) -> set[int]:
    return {patient for patient, mine in fold.parts.items() if mine == part}


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 9))
def test_a_smaller_share_of_labels_is_a_part_of_a_larger_one(a: float, b: float, seed: int) -> None:
    cohort = make_cohort(patients=60, hidden=4)
    fold = assign(cohort, seed)[0]
    less, more = (with_fewer_labels(fold, cohort, share, seed) for share in sorted((a, b)))
    assert _in_part(less, TRAIN) <= _in_part(more, TRAIN) <= _in_part(fold, TRAIN)


def test_fewer_labels_leave_validation_test_and_unlabelled_patients_alone() -> None:
    cohort = make_cohort(patients=60, hidden=4)
    fold = assign(cohort, 0)[0]
    fewer = with_fewer_labels(fold, cohort, 0.25, 0)
    for part in (VALIDATION, TEST, UNLABELLED_PART):
        assert _in_part(fewer, part) == _in_part(fold, part)


def test_fewer_labels_keep_the_proportion_of_malignant_patients() -> None:
    cohort = make_cohort(patients=204, hidden=4)
    malignant = set(cohort.patients[cohort.labels == 1].tolist())
    fold = assign(cohort, 0)[0]
    fewer = with_fewer_labels(fold, cohort, 0.25, 0)
    before, after = _in_part(fold, TRAIN), _in_part(fewer, TRAIN)
    assert len(after & malignant) == -(-len(before & malignant) // 4)
    assert len(after - malignant) == -(-len(before - malignant) // 4)


def test_patients_who_sit_out_are_in_no_part() -> None:
    cohort = make_cohort(patients=60, hidden=4)
    fold = assign(cohort, 0)[0]
    fewer = with_fewer_labels(fold, cohort, 0.25, 0)
    gone = fold.parts.keys() - fewer.parts.keys()
    assert gone == _in_part(fold, TRAIN) - _in_part(fewer, TRAIN) != set()
