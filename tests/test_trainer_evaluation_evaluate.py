"""Runs to tables: pooled, by group, beside the short axis, tested."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fake_predictions import cohort, predicted, write_run
from trainer.errors import TrainerError
from trainer.evaluation import evaluate, predicted_run
from trainer.evaluation.evaluate import Evaluation, EvaluationRow
from trainer.evaluation.predicted_run import PredictedRun
from trainer.evaluation.scored import RULE, SHORT_AXIS
from trainer.runs.predictions import FILE, LAST_FILE, TEST, VALIDATION, Predictions, sigmoid

FACTS = cohort()
GOOD, POOR = predicted(FACTS), predicted(FACTS, 0.8, 2)


def evaluated(*rows: Predictions, draws: int = 100) -> Evaluation:
    runs = [PredictedRun(f"run-{place}", {}, one, ()) for place, one in enumerate(rows)]
    return evaluate.evaluate(runs, evaluate.models(runs), draws=draws)


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return evaluated(GOOD, POOR)


def row(found: Evaluation, model: str, by: str = "all", group: str = "all") -> EvaluationRow:
    return next(r for r in found.rows if (r.model, r.by, r.group) == (model, by, group))


def test_pooled_auroc_is_of_all_test_nodes(found: Evaluation) -> None:
    test = GOOD.of(TEST)
    assert row(found, "run-0").figures["auroc"].value == pytest.approx(
        roc_auc_score(test.label, test.probability)
    )
    assert row(found, "run-0").nodes == len(FACTS["label"])


def test_intervals_hold_their_values(found: Evaluation) -> None:
    figure = row(found, "run-0").figures["auroc"]
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low < figure.value < figure.high


def test_the_groups_of_a_kind_are_all_nodes(found: Evaluation) -> None:
    for by in ("fold", "short axis", "slice thickness", "station"):
        nodes = sum(r.nodes for r in found.rows if r.by == by and r.model == "run-0")
        assert nodes == len(FACTS["label"])


def test_fold_mean_and_sd_are_of_the_fold_rows(found: Evaluation) -> None:
    values = [r.figures["auroc"].value for r in found.rows if r.by == "fold" and r.model == "run-1"]
    across = next(
        one for one in found.across_folds if (one.model, one.figure) == ("run-1", "auroc")
    )
    assert (across.mean, across.sd) == (
        pytest.approx(np.mean(values)),
        pytest.approx(np.std(values, ddof=1)),
    )


def test_the_short_axis_and_its_rule_stand_beside_every_model(found: Evaluation) -> None:
    axis, label = FACTS["short_axis_mm"], FACTS["label"]
    assert row(found, SHORT_AXIS).figures["auroc"].value == pytest.approx(
        roc_auc_score(label, axis)
    )
    rule = row(found, RULE).figures
    assert rule["sensitivity_rule"].value == pytest.approx((axis >= 10)[label == 1].mean())
    assert "auroc" not in rule


def test_planned_pairs_are_first_against_others_and_each_against_the_axis(
    found: Evaluation,
) -> None:
    assert [(test.first, test.second) for test in found.tests] == [
        ("run-0", "run-1"),
        ("run-0", SHORT_AXIS),
        ("run-1", SHORT_AXIS),
    ]
    assert found.tests[0].difference > 0
    for test in found.tests:
        assert test.p_holm >= test.p


def test_thresholds_of_validation_are_each_folds_own() -> None:
    logit = GOOD.logit + GOOD.fold  # folds on other scales
    rows = replace(GOOD, logit=logit, probability=sigmoid(logit))
    kept = evaluated(rows).rows[0].figures["sensitivity_recall75"].value
    assert kept == evaluated(GOOD).rows[0].figures["sensitivity_recall75"].value


def test_test_labels_do_not_move_thresholds_or_calibration() -> None:
    flipped = np.where((GOOD.part == TEST) & (GOOD.node_id % 7 == 0), 1 - GOOD.label, GOOD.label)
    plain, other = (
        evaluate.of_run(PredictedRun("run", {}, rows, ()))
        for rows in (GOOD, replace(GOOD, label=flipped))
    )
    np.testing.assert_array_equal(plain.calibrated, other.calibrated)
    np.testing.assert_array_equal(plain.calls["recall75"], other.calls["recall75"])


def test_a_group_of_one_class_is_listed_with_its_reason() -> None:
    station = np.where(GOOD.label == 1, GOOD.station, "AJCC:9")
    found = evaluated(replace(GOOD, station=station.astype(object)))
    for model in ("run-0", SHORT_AXIS, RULE):
        benign = row(found, model, "station", "AJCC:2R")
        assert benign.note == "no benign node: AUROC and similar figures are not defined"
        assert "auroc" not in benign.figures
        assert any(name.startswith("sensitivity") for name in benign.figures)


def test_a_group_of_few_malignant_nodes_is_marked() -> None:
    first = GOOD.node_id[GOOD.label == 1][:2]
    station = np.where((GOOD.label == 0) | np.isin(GOOD.node_id, first), "A:1", "A:2")
    found = evaluated(replace(GOOD, station=station.astype(object)))
    assert row(found, "run-0", "station", "A:1").note == "only 2 malignant: too few to estimate"


def test_points_are_left_out_of_the_short_axis_and_said() -> None:
    axis = np.where(GOOD.node_id <= 30, np.nan, GOOD.short_axis_mm)
    found = evaluated(replace(GOOD, short_axis_mm=axis))
    assert row(found, SHORT_AXIS).nodes == len(FACTS["label"]) - 30
    assert found.tests[0].nodes == len(FACTS["label"]) - 30
    assert "short axis: 30 nodes without an outline have no axis; left out" in found.notes


def test_runs_on_other_nodes_are_compared_on_the_common_ones() -> None:
    found = evaluated(GOOD, POOR.take(POOR.node_id > 100))
    assert found.tests[0].nodes == len(FACTS["label"]) - 100
    assert "run-0 and run-1 share 300 of 400 nodes; they are compared on those" in found.notes


def test_runs_without_a_common_node_are_not_tested() -> None:
    found = evaluated(GOOD.take(GOOD.node_id <= 200), POOR.take(POOR.node_id > 200))
    assert found.tests[0].p is None
    assert found.tests[0].note == "not tested: the common nodes lack a class"


@pytest.mark.parametrize(
    ("column", "said"),
    [("tracking_uid", "other tracking UIDs"), ("label", "other labels for 1 nodes")],
)
def test_runs_of_other_databases_or_labels_are_refused(column: str, said: str) -> None:
    values = getattr(POOR, column).copy()
    first = POOR.node_id == POOR.node_id[0]
    values[first] = "1.2.3" if column == "tracking_uid" else 1 - values[first]
    with pytest.raises(TrainerError, match=said) as refused:
        evaluated(GOOD, replace(POOR, **{column: values}))
    assert refused.value.code == "T25"


def test_runs_of_other_splits_are_compared_and_it_is_said() -> None:
    moved = replace(POOR, fold=(POOR.fold + 1) % 4)
    assert "run-0 and run-1 were split differently: 400 nodes lie in other folds" in (
        evaluated(GOOD, moved).notes
    )


def test_labels_of_one_class_are_refused() -> None:
    with pytest.raises(TrainerError, match="0 malignant and") as refused:
        evaluated(GOOD.take(GOOD.label == 0))
    assert refused.value.code == "T24"


def test_without_validation_there_is_no_calibration_and_it_is_said() -> None:
    found = evaluated(GOOD.take(GOOD.part != VALIDATION))
    assert "brier" not in row(found, "run-0").figures
    assert "run-0, fold 0: no validation nodes of both classes, so no calibration" in found.notes


def test_the_manifest_gets_the_figures_under_a_prefix(found: Evaluation) -> None:
    (model, *_) = evaluate.models([PredictedRun("run-0", {}, GOOD, ())])
    metrics = evaluate.manifest_metrics(model, "cross_validated_", found.draws, found.seed)
    figure = row(found, "run-0").figures["auroc"]
    ours = metrics["cross_validated_auroc"]
    assert (ours.value, ours.low) == (figure.value, figure.low)


def test_a_missing_fold_is_refused_unless_allowed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", FACTS)
    (run / "fold-2/predictions.parquet").unlink()
    with pytest.raises(TrainerError, match="without predictions of fold 2") as refused:
        predicted_run.read(run, "run", partial=False)
    assert refused.value.code == "T21"
    assert predicted_run.read(run, "run", partial=True).missing == (2,)


def test_a_fold_in_another_folds_folder_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", FACTS)
    (run / "fold-1/predictions.parquet").rename(run / "fold-2/predictions.parquet")
    with pytest.raises(TrainerError, match=r"rows of folds \(1,\)"):
        predicted_run.read(run, "run", partial=True)


def test_the_last_epoch_is_read_when_asked_for(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", FACTS)
    last = write_run(tmp_path / "last", FACTS, separation=0.5)
    for fold in range(4):
        (last / f"fold-{fold}/{FILE}").rename(run / f"fold-{fold}/{LAST_FILE}")
    found = predicted_run.read(run, "run", last=True).rows
    assert len(found) == len(predicted_run.read(run, "run").rows)
    assert not np.array_equal(found.logit, predicted_run.read(run, "run").rows.logit)


def test_either_network_of_a_semi_supervised_run_is_read_when_asked_for(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", FACTS)
    student = write_run(tmp_path / "student", FACTS, separation=0.5)
    for fold in range(4):
        (student / f"fold-{fold}/{FILE}").rename(run / f"fold-{fold}/predictions-student.parquet")
    reported, teacher, other = (
        predicted_run.read(run, "run", role=name).rows.logit
        for name in (None, "teacher", "student")
    )
    assert np.array_equal(reported, teacher)
    assert not np.array_equal(reported, other)


def test_a_run_without_a_second_network_has_none_to_read(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", FACTS)
    with pytest.raises(TrainerError, match="T20"):
        predicted_run.read(run, "run", role="student")


def test_names_of_runs_are_as_short_as_they_can_be() -> None:
    assert predicted_run.names([Path("a/x"), Path("b/y")]) == ["x", "y"]
    assert predicted_run.names([Path("a/x"), Path("b/x")]) == ["a/x", "b/x"]
