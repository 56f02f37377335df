"""How hard phantom nodes are to tell apart, and the arithmetic behind the figures."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.studies import PatientRecord
from engines.patch import SPEC
from lnscore.phantom.difficulty import (
    NAMES,
    Sample,
    assess,
    auroc,
    measurements,
    out_of_fold,
)
from lnscore.phantom.patients import PatientPlan
from lnscore.phantom.records import PatientToFill, make_patient
from lnscore.workers import Limits, Workers

SEED, PATIENTS, BENIGN, MALIGNANT = 19, 60, 6, 6


@pytest.fixture(scope="module")
def difficulty():
    """Of 720 nodes, enriched with malignant ones: 20 s, and of fewer the figures are not steady."""
    nobody = PatientRecord("nobody")
    plans = [PatientPlan(SEED, number, BENIGN, MALIGNANT) for number in range(1, PATIENTS + 1)]
    with Workers(Limits(jobs=2)) as workers:
        made = workers.map(make_patient, [PatientToFill(plan, nobody) for plan in plans])
        samples = [sample for done in made for sample in done.value.samples]
    return assess(samples)


@pytest.mark.slow
def test_short_axis_alone_tells_little(difficulty):
    assert 0.70 <= difficulty.short_axis <= 0.80


@pytest.mark.slow
def test_the_true_parameters_tell_nearly_all(difficulty):
    assert 0.95 <= difficulty.parameters <= 0.97


@pytest.mark.slow
def test_plain_measurements_of_patch_and_outline_reach_090(difficulty):
    assert 0.90 <= difficulty.measurements < difficulty.parameters


@pytest.mark.slow
def test_the_figures_are_said_in_lines(difficulty):
    lines = difficulty.lines()
    assert lines[0] == "AUROC over 360 malignant and 360 benign nodes:"
    assert lines[1] == f"  short axis alone            {difficulty.short_axis:.3f}"


def test_auroc_by_hand():
    """Pairs 3>1, 3>2, 2=2 (a half), 2>1: three and a half of four."""
    score = np.array([3.0, 2.0, 2.0, 1.0])
    assert auroc(score, np.array([True, True, False, False])) == 3.5 / 4


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auroc_is_the_share_of_pairs_in_order(pairs):
    score = np.array([value for value, _ in pairs], float)
    truth = np.array([malignant for _, malignant in pairs])
    if truth.all() or not truth.any():
        return
    ill, well = score[truth][:, None], score[~truth][None, :]
    wanted = ((ill > well) + 0.5 * (ill == well)).mean()
    assert auroc(score, truth) == pytest.approx(wanted)


def test_a_small_cohort_gives_no_figures():
    some = Sample(1, True, 0.0, np.zeros(len(NAMES)))
    assert assess([some, replace(some, malignant=False)] * 40) is None


def test_regression_agrees_with_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    table = rng.normal(size=(300, 4))
    truth = rng.uniform(size=300) < 1 / (1 + np.exp(-table @ [1.0, -2.0, 0.0, 0.5] + 1))
    patients = np.arange(300)
    held = patients % 5 == 0
    middle, spread = table[~held].mean(axis=0), table[~held].std(axis=0)
    theirs = LogisticRegression(C=1 / 3.0, tol=1e-8).fit(
        (table[~held] - middle) / spread, truth[~held]
    )
    wanted = theirs.decision_function((table[held] - middle) / spread)
    assert out_of_fold(table, truth, patients)[held] == pytest.approx(wanted, abs=1e-4)


def test_a_fold_never_sees_its_own_patient():
    """One measurement that names the patient's class and nothing else: no better than chance."""
    patients = np.repeat(np.arange(50), 4)
    truth = np.random.default_rng(1).permutation(50)[patients] % 2 == 0
    table = np.eye(50)[patients] * 1.0
    assert auroc(out_of_fold(table, truth, patients), truth) < 0.65


def _disc(radius_vox: float, hu: float) -> tuple[np.ndarray, np.ndarray]:
    """A cylinder over four slices in fat of -100 HU, and its mask."""
    y, x = np.mgrid[:80, :80] - 39.5
    inside = np.zeros(SPEC.size_vox, bool)
    inside[7:11] = np.hypot(y, x) <= radius_vox
    patch = np.where(inside, hu, -100).astype(np.int16)
    return patch, (inside * 255).astype(np.uint8)


def test_measurements_of_a_disc_by_hand():
    patch, mask = _disc(8.0, 60.0)
    found = dict(zip(NAMES, measurements(patch, mask), strict=True))
    diameter_mm = 16 * SPEC.spacing_mm[1]
    assert found["short_axis"] == pytest.approx(np.log(diameter_mm), abs=0.03)
    assert found["long_over_short"] == pytest.approx(0, abs=0.01)
    assert found["volume"] == pytest.approx(np.log((mask > 0).sum()))
    assert found["mean_hu"] == found["bright_hu"] == 60
    assert found["rim_contrast"] == 160
    for name in ("spread_hu", "fine_texture", "coarse_texture", "below_20_hu", "core_over_rim"):
        assert found[name] == pytest.approx(0, abs=1e-9)


def test_a_fatty_spot_shows_below_minus_20_and_a_necrotic_one_only_below_20():
    for value, below_minus_20 in ((-75, True), (5, False)):
        patch, mask = _disc(8.0, 60.0)
        patch[7:11, 37:43, 37:43] = value
        found = dict(zip(NAMES, measurements(patch, mask), strict=True))
        assert found["below_20_hu"] > 0.05
        assert (found["below_minus_20_hu"] > 0.05) == below_minus_20
