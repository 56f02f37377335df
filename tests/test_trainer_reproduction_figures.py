"""The pictures of a reproduced table: what is drawn, and what is left open."""

import io

import numpy as np
import pytest

from fake_reproduction import HALF, PERFECT, THREE_QUARTERS, of_cohort, scored, short_axis
from trainer.evaluation.bootstrap import Interval
from trainer.reproduction import ladders
from trainer.reproduction.figures import FALSE_RATES, draw, mean_curve
from trainer.reproduction.results import TableResult, summarise
from trainer.reproduction.rows import TABLES


def drawn(table: str, *rows: str, baseline=None) -> dict[str, bytes]:
    runs = {row: {0: of_cohort(1.5, place)} for place, row in enumerate(rows)}
    return draw(summarise(TABLES[table], runs, 20, 0, baseline), runs, baseline)


def truth(**scores) -> TableResult:
    runs = {row.replace("_", "-"): {0: scored(one)} for row, one in scores.items()}
    return summarise(TABLES["truth"], runs, draws=20)


def ladder(made: TableResult):
    assert made.room is not None
    return ladders.with_room(made, made.room)


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def size(png: bytes) -> tuple[int, int]:
    from matplotlib.image import imread

    height, width = imread(io.BytesIO(png)).shape[:2]
    return width, height


def test_a_curve_is_the_mean_of_the_sensitivities_at_each_false_positive_rate() -> None:
    curve = dict(
        zip(FALSE_RATES, mean_curve([scored(PERFECT), scored(THREE_QUARTERS)]), strict=True)
    )
    assert [curve[rate] for rate in (0, 0.25, 0.5, 1)] == [0.75, 0.75, 1, 1]


def test_a_curve_between_two_thresholds_is_not_interpolated() -> None:
    curve = mean_curve([scored((0.6, 0.6, 0.6, 0.1))])  # ties: from 0 straight to (0.5, 1)
    np.testing.assert_array_equal(curve, np.where(FALSE_RATES < 0.5, 0, 1))


def test_without_any_run_there_is_no_picture() -> None:
    assert drawn("table1") == {}


@pytest.mark.parametrize(
    ("table", "pictures"),
    [
        ("table1", {"table1-roc.png", "table1-room.png"}),
        ("networks", {"networks-roc.png", "networks-ladder.png"}),
        ("table2", {"table2-roc.png", "table2-ladder.png", "table2-room.png"}),
        ("fig2", {"fig2-roc.png", "fig2-sweep.png", "fig2-room.png"}),
        ("gamma", {"gamma-roc.png", "gamma-sweep.png", "gamma-room.png"}),
        ("truth", {"truth-roc.png", "truth-room.png"}),
    ],
)
def test_every_table_has_its_pictures_though_one_row_was_run(table, pictures) -> None:
    assert set(drawn(table, TABLES[table].rows[0])) == pictures


def test_the_same_runs_give_the_same_bytes() -> None:
    assert drawn("table2", "two-stream") == drawn("table2", "two-stream")


def test_a_longer_legend_widens_the_roc_picture_and_not_its_height() -> None:
    short, long = drawn("truth", "two-stream"), drawn("truth", "two-stream", "pgls-both")
    (narrow, low), (wide, high) = (size(one["truth-roc.png"]) for one in (short, long))
    assert wide > narrow + 100
    assert high == low


def test_the_short_axis_is_drawn_too() -> None:
    model = of_cohort(1.5, 0)
    axis = short_axis(model, model.rows.short_axis_mm)
    with_axis = drawn("table2", "two-stream", baseline=axis)
    assert with_axis["table2-roc.png"] != drawn("table2", "two-stream")["table2-roc.png"]


def test_a_sweep_has_a_column_a_parameter() -> None:
    both, one = drawn("fig2", "pgls")["fig2-sweep.png"], drawn("gamma", "pgls")["gamma-sweep.png"]
    assert size(both)[0] > 1.8 * size(one)[0]
    assert size(both)[1] == size(one)[1]


def test_a_row_that_was_not_run_is_a_gap_in_the_line() -> None:
    middle, below, above = ladders.percents([Interval(0.8, 0.75, 0.9), None, Interval(0.7)])
    np.testing.assert_allclose(middle, [80, np.nan, 70])
    np.testing.assert_allclose(below, [5, np.nan, 0], atol=1e-9)
    np.testing.assert_allclose(above, [10, np.nan, 0], atol=1e-9)


def test_the_room_is_shaded_between_its_two_rows() -> None:
    figure = ladder(truth(two_stream=HALF, all_labels=PERFECT))
    (shade,) = figure.axes[0].patches
    assert (shade.get_x(), shade.get_width()) == (50, 50)
    assert legend(figure)[-1] == "room"


def test_without_room_nothing_is_shaded() -> None:
    for made in (truth(two_stream=PERFECT, all_labels=HALF), truth(two_stream=PERFECT)):
        assert not ladder(made).axes[0].patches


def test_a_line_of_the_ladder_tells_value_gain_and_share() -> None:
    made = truth(two_stream=HALF, two_stream_mt=THREE_QUARTERS, all_labels=PERFECT)
    texts = [text.get_text() for text in ladder(made).axes[0].texts]
    assert texts[:4] == ["50.0", "not run", "75.0  +25.0  (50 % of the room)", "not run"]


def test_a_loss_has_a_minus_sign() -> None:
    texts = [text.get_text() for text in ladder(truth(two_stream=PERFECT, null=HALF)).axes[0].texts]
    assert texts[1] == "50.0  −50.0"


def test_bars_begin_at_chance() -> None:
    runs = {"2.5d+ts": {0: scored(THREE_QUARTERS)}}
    figure = ladders.of_networks(summarise(TABLES["table2"], runs, draws=20))
    bar = figure.axes[0].patches[2]
    assert (bar.get_x(), bar.get_width()) == (50, 25)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()][:3] == [
        "3D",
        "2.5D",
        "2.5D + TS",
    ]


def test_networks_are_called_by_their_labels_beside_the_short_axis() -> None:
    runs = {"2.5d+ts": {0: scored(THREE_QUARTERS)}}
    baseline = scored(PERFECT)
    axes = ladders.of_networks(summarise(TABLES["networks"], runs, 20, 0, baseline)).axes[0]
    assert "2.5D + TS" in [tick.get_text() for tick in axes.get_yticklabels()]
    assert {line.get_label(): line.get_xdata()[0] for line in axes.lines}["short axis alone"] == 100


def test_the_axis_of_the_bars_holds_an_interval_below_chance() -> None:
    runs = {"2.5d+ts": {0: scored(tuple(1 - one for one in PERFECT))}}
    figure = ladders.of_networks(summarise(TABLES["table2"], runs, draws=20))
    assert figure.axes[0].get_xlim()[0] == 0


def test_all_labels_is_no_second_two_stream_network_in_the_ablation() -> None:
    figure = ladders.of_networks(summarise(TABLES["table2"], {}, draws=20))
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names[-1] == "all labels (upper bound)"
    assert len(set(names)) == len(names)
