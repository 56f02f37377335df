"""Runs to a table: means over seeds, one set of draws, planned tests, the room and its shares."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fake_reproduction import (
    FACTS,
    HALF,
    LABEL,
    PERFECT,
    THREE_QUARTERS,
    of_cohort,
    scored,
    short_axis,
)
from trainer.errors import TrainerError
from trainer.evaluation import metrics, significance
from trainer.evaluation.bootstrap import patient_draws
from trainer.reproduction import averaged
from trainer.reproduction.results import summarise
from trainer.reproduction.rows import Comparison, PaperTable

ROWS = ("two-stream", "two-stream-mt", "all-labels")
PLANNED = (Comparison("two-stream-mt", "two-stream"), Comparison("all-labels", "two-stream"))
TABLE = PaperTable(
    name="truth",
    title="Truth",
    rows=ROWS,
    planned=PLANNED,
    supervised="two-stream",
    all_labels="all-labels",
)


def made(runs, draws=50, **given):
    return summarise(TABLE, runs, draws=draws, **given)


def runs_of(**scores):
    """Row (with _ for -) to the scores of its seeds."""
    return {
        name.replace("_", "-"): {seed: scored(one) for seed, one in enumerate(seeds)}
        for name, seeds in scores.items()
    }


def test_a_figure_is_the_mean_over_the_seeds() -> None:
    found = made(runs_of(two_stream=[PERFECT, THREE_QUARTERS])).found[0]
    assert found.figures["auroc"].value == 0.875
    assert found.per_seed == {0: 1.0, 1: 0.75}
    assert found.sd == pytest.approx(0.25 / 2**0.5)


def test_all_five_figures_are_the_mean_over_the_seeds() -> None:
    models = {seed: of_cohort(1.5, seed) for seed in range(3)}
    found = made({"two-stream": models}).found[0]
    each = [metrics.all_of(metrics.count(m.rows.label, m.score)) for m in models.values()]
    assert {name: figure.value for name, figure in found.figures.items()} == {
        name: pytest.approx(np.mean([one[name][0] for one in each])) for name in averaged.FIGURES
    }


def test_seeds_are_averaged_inside_each_draw() -> None:
    models = {seed: of_cohort(1.5, seed) for seed in range(2)}
    figure = made({"two-stream": models}).found[0].figures["auroc"]
    drawn = patient_draws(FACTS["patient_id"], 50, 0)
    times = drawn.times[:, drawn.place]
    label = FACTS["label"]
    means = [
        np.mean([roc_auc_score(label, m.score, sample_weight=weight) for m in models.values()])
        for weight in times
    ]
    assert (figure.low, figure.high) == pytest.approx(np.percentile(means, [2.5, 97.5]))


def test_a_row_with_fewer_patients_has_the_same_draws() -> None:
    whole = of_cohort(1.5, 0)
    part = whole.take(whole.rows.patient_id % 2 == 0)
    shared = averaged.shared_draws([whole, part], 20, 0)
    first, second = shared.of(whole), shared.of(part)
    np.testing.assert_array_equal(first.times, second.times)
    np.testing.assert_array_equal(shared.patients[second.place], part.rows.patient_id)


def test_nodes_malignant_ones_and_patients_are_counted_once_over_seeds() -> None:
    found = made(runs_of(two_stream=[PERFECT, HALF])).found[0]
    assert (found.nodes, found.positives, found.patients) == (4, 2, 4)


def test_one_seed_has_no_sd() -> None:
    assert made(runs_of(two_stream=[PERFECT])).found[0].sd is None


def test_a_row_that_was_not_run_is_there_and_empty() -> None:
    found = made(runs_of(two_stream=[PERFECT])).found[1]
    assert found.row.name == "two-stream-mt"
    assert (found.seeds, found.figures, found.per_seed, found.nodes) == ((), {}, {}, 0)


def test_without_any_run_everything_is_empty() -> None:
    empty = made({})
    assert [one.figures for one in empty.found] == [{}, {}, {}]
    assert [test.difference for test in empty.tests] == [None, None]
    assert empty.room is not None
    assert empty.room.room is None


def test_runs_of_other_tables_are_ignored() -> None:
    runs = runs_of(two_stream=[PERFECT], simmatch=[HALF])
    assert [one.row.name for one in made(runs).found] == list(ROWS)


def test_a_seed_with_a_missing_fold_is_left_out_and_said() -> None:
    runs = runs_of(two_stream=[PERFECT, THREE_QUARTERS])
    runs["two-stream"][1] = runs["two-stream"][1].take(np.array([0, 2]))
    found = made(runs)
    assert found.found[0].seeds == (0,)
    assert found.notes == ("two-stream, seed 1, is left out: fold 0 is missing",)


def test_a_run_on_other_nodes_is_said() -> None:
    runs = runs_of(two_stream=[PERFECT], two_stream_mt=[PERFECT])
    runs["two-stream-mt"][0] = runs["two-stream-mt"][0].take(np.array([0, 1, 2]))
    assert "two-stream-mt, seed 0, shares 3 of 4 nodes with two-stream, seed 0" in made(runs).notes


def test_a_run_in_other_folds_is_said() -> None:
    runs = runs_of(two_stream=[PERFECT])
    runs["two-stream-mt"] = {0: scored(PERFECT, fold=(0, 1, 0, 1))}
    assert made(runs).notes == (
        "two-stream-mt, seed 0, has 4 nodes in other folds than two-stream, seed 0",
    )


def test_runs_with_other_labels_are_refused() -> None:
    runs = runs_of(two_stream=[PERFECT])
    runs["all-labels"] = {0: scored(PERFECT, label=(1, 0, 0, 0), name="other")}
    with pytest.raises(TrainerError, match="other has other labels than earlier runs for 1 nodes"):
        made(runs)


def test_a_difference_is_of_the_means_over_seeds() -> None:
    runs = runs_of(two_stream=[HALF, THREE_QUARTERS], two_stream_mt=[PERFECT, THREE_QUARTERS])
    assert made(runs).tests[0].difference == pytest.approx(0.25)


def test_only_common_seeds_are_compared() -> None:
    runs = runs_of(two_stream=[HALF], two_stream_mt=[PERFECT, HALF])
    tested = made(runs).tests[0]
    assert (tested.seeds, tested.difference) == ((0,), 0.5)


def test_without_a_common_seed_nothing_is_tested() -> None:
    runs = {"two-stream": {0: scored(HALF)}, "two-stream-mt": {1: scored(PERFECT)}}
    tested = made(runs).tests[0]
    assert (tested.p, tested.note) == (None, "not tested: no common seed")


def test_only_common_nodes_are_compared_whatever_their_order() -> None:
    runs = runs_of(two_stream=[HALF])
    other = scored(PERFECT).take(np.array([3, 1, 0]))  # nodes 4, 2, 1: labels 0, 1, 1
    runs["two-stream-mt"] = {0: other}
    tested = made(runs).tests[0]
    assert (tested.nodes, tested.patients) == (3, 3)
    assert tested.difference == pytest.approx(1 - 0.5)  # HALF on nodes 1, 2, 4: .9, .1 above .2


def test_common_nodes_of_one_class_are_not_tested() -> None:
    runs = runs_of(two_stream=[HALF])
    runs["two-stream-mt"] = {0: scored((0.9, 0.8), label=(1, 1), node=(1, 2))}
    assert made(runs).tests[0].note == "not tested: the common nodes lack a class"


def test_equal_rows_have_no_difference_in_any_draw() -> None:
    model = of_cohort(1.5, 0)
    tested = made({"two-stream": {0: model}, "two-stream-mt": {0: model}}).tests[0]
    assert (tested.difference, tested.low, tested.high, tested.p) == (0, 0, 0, 1)


def test_a_difference_of_one_sign_in_every_draw_has_the_smallest_p() -> None:
    runs = {"two-stream": {0: of_cohort(0.2, 0)}, "two-stream-mt": {0: of_cohort(6.0, 1)}}
    assert made(runs, draws=199).tests[0].p == pytest.approx(2 / 200)


def test_holm_counts_only_the_tests_that_could_be_run() -> None:
    runs = {"two-stream": {0: of_cohort(0.2, 0)}, "two-stream-mt": {0: of_cohort(6.0, 1)}}
    tests = made(runs).tests
    assert tests[0].p_holm == tests[0].p
    assert (tests[1].p_holm, tests[1].note) == (None, "not run: all labels (upper bound)")


def test_holm_counts_every_test_that_was_run() -> None:
    runs = {
        name: {0: of_cohort(how, n)}
        for n, (name, how) in enumerate(zip(ROWS, (0.2, 6, 6), strict=True))
    }
    for test in made(runs).tests:
        assert test.p_holm == pytest.approx(2 * 2 / 51)


def test_delong_is_of_the_probabilities_averaged_over_seeds() -> None:
    first, second = (
        [of_cohort(how, seed) for seed in seeds] for how, seeds in ((1, (1, 2)), (2, (3, 4)))
    )
    runs = {"two-stream-mt": dict(enumerate(first)), "two-stream": dict(enumerate(second))}
    means = [(one.score + other.score) / 2 for one, other in (first, second)]
    expected = significance.delong(FACTS["label"], *means).p
    assert made(runs).tests[0].p_delong == pytest.approx(expected)


def test_a_gain_is_a_share_of_the_room() -> None:
    room = made(
        runs_of(two_stream=[HALF], two_stream_mt=[THREE_QUARTERS], all_labels=[PERFECT])
    ).room
    assert room is not None
    assert room.room is not None
    assert room.room.value == 0.5
    assert [(gain.row.name, gain.gain.value, gain.share) for gain in room.gains if gain.gain] == [
        ("two-stream-mt", 0.25, 0.5),
        ("all-labels", 0.5, 1.0),
    ]


def test_without_room_there_is_no_share() -> None:
    room = made(runs_of(two_stream=[HALF], two_stream_mt=[PERFECT], all_labels=[HALF])).room
    assert room is not None
    assert [gain.share for gain in room.gains] == [None, None]


def test_room_and_gain_of_a_share_are_of_the_same_seeds() -> None:
    room = made(
        runs_of(
            two_stream=[HALF, HALF],
            two_stream_mt=[THREE_QUARTERS],
            all_labels=[PERFECT, THREE_QUARTERS],
        )
    ).room
    assert room is not None
    assert (room.seeds, room.gains[0].seeds, room.gains[0].share) == ((0, 1), (0,), 0.5)


def test_without_the_all_labels_row_a_gain_has_no_share() -> None:
    room = made(runs_of(two_stream=[HALF], two_stream_mt=[PERFECT])).room
    assert room is not None
    assert room.gains[0].gain is not None
    assert (room.gains[0].gain.value, room.gains[0].share) == (0.5, None)
    assert (room.gains[1].gain, room.room) == (None, None)


def test_a_table_without_an_all_labels_row_has_no_room() -> None:
    table = replace(TABLE, all_labels="")
    assert summarise(table, runs_of(two_stream=[HALF]), draws=5).room is None


def test_the_short_axis_is_a_reference_without_seeds() -> None:
    model = scored(PERFECT)
    reference = made({"two-stream": {0: model}}, baseline=short_axis(model, (9, 4, 5, 3))).baseline
    assert reference is not None
    assert reference.figures["auroc"].value == 0.75
    assert (reference.seeds, reference.per_seed, reference.sd) == ((), {}, None)


def test_the_label_of_the_examples_is_what_their_names_say() -> None:
    areas = [roc_auc_score(LABEL, score) for score in (PERFECT, THREE_QUARTERS, HALF)]
    assert areas == [1, 0.75, 0.5]
