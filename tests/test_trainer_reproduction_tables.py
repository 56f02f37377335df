"""A reproduced table as text: the paper's layout, its figures beside ours, empty where not run."""

import csv
import io

import pytest

from fake_reproduction import HALF, PERFECT, THREE_QUARTERS, of_cohort, scored, short_axis
from trainer.reproduction.labels import label, parts
from trainer.reproduction.results import TableResult, summarise
from trainer.reproduction.rows import ROWS, TABLES, PaperTable
from trainer.reproduction.tables import as_markdown, as_texts


def made(name: str, **scores) -> TableResult:
    """A table of rows (with _ for -) whose seeds have these scores."""
    runs = {
        row.replace("_", "-"): {seed: scored(one) for seed, one in enumerate(seeds)}
        for row, seeds in scores.items()
    }
    return summarise(TABLES[name], runs, draws=20)


def cells(text: str, start: str) -> list[str]:
    """Of the first line of a Markdown table that begins with this cell."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in line.split("|")[1:-1]]


def sheet(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


ROOMLESS = PaperTable(name="ours", title="Ours", rows=("null", "all-labels"), planned=())


@pytest.fixture(scope="module")
def truth() -> TableResult:
    return made(
        "truth", two_stream=[HALF], two_stream_mt=[THREE_QUARTERS, HALF], all_labels=[PERFECT]
    )


def test_the_papers_figure_stands_beside_each_of_ours() -> None:
    text = as_markdown(made("table1"))
    assert cells(text, "Method") == [
        "Method", "AUROC", "paper", "S@R75", "paper", "R@S75", "paper", "A@R75", "paper", "A@S75",
        "paper",
    ]  # fmt: skip


def test_a_row_that_was_not_run_has_the_papers_figures_only() -> None:
    text = as_markdown(made("table1"))
    assert cells(text, "MobileNetV3 3D")[1:] == [
        "", "84.49", "", "79.90", "", "78.72", "", "79.71", "", "74.56",
    ]  # fmt: skip


def test_ours_has_one_decimal_and_an_interval() -> None:
    model = of_cohort(1.8, 1)
    found = summarise(TABLES["table1"], {"two-stream": {0: model}}, draws=50)
    figure = found.found[7].figures["auroc"]
    assert figure.low is not None
    assert figure.high is not None
    told = f"{100 * figure.value:.1f} ({100 * figure.low:.1f}–{100 * figure.high:.1f})"
    assert cells(as_markdown(found), "Ours (supervised)")[1:3] == [told, "90.68"]


def test_rows_of_table_1_stand_under_their_groups() -> None:
    firsts = [
        line.split("|")[1].strip()
        for line in as_markdown(made("table1")).splitlines()
        if "|" in line
    ]
    assert firsts.index("**2.5D**") + 1 == firsts.index("ResNet18 2.5D")
    assert [one for one in firsts if one.startswith("**")] == [
        "**3D**", "**2.5D**", "**semi-supervised**", "**ours**",
    ]  # fmt: skip


def test_table_2_checks_the_parts_of_each_row() -> None:
    text = as_markdown(made("table2"))
    checks = {
        label(TABLES["table2"], ROWS[name]): cells(text, ROWS[name].label)[1:6]
        for name in TABLES["table2"].rows
    }
    assert ["".join("1" if one else "0" for one in row) for row in checks.values()] == [
        "00000", "10000", "11000", "10100", "11100", "11110", "11111", "11100",
    ]  # fmt: skip


def test_only_table_2_has_check_marks(truth: TableResult) -> None:
    assert "✓" not in as_markdown(truth)
    assert parts(ROWS["pgls"]) == ("2.5D", "TS", "MS", "MT", "PGLS")


def test_the_default_row_of_a_sweep_is_called_by_its_values() -> None:
    assert [label(TABLES["fig2"], ROWS[name]) for name in ("pgls-beta-0.6", "pgls")] == [
        "β = 0.6",
        "β = 0.7, ω = 0.6",
    ]
    assert label(TABLES["gamma"], ROWS["pgls"]) == "γ = 0.3"
    assert label(TABLES["table1"], ROWS["pgls"]) == "Ours (semi-supervised)"


def test_a_figure_that_the_paper_never_prints_has_no_column() -> None:
    head = cells(as_markdown(summarise(ROOMLESS, {}, draws=5)), "Method")
    assert head == ["Method", "AUROC", "S@R75", "R@S75", "A@R75", "A@S75"]


def test_a_test_has_its_seeds_nodes_and_p(truth: TableResult) -> None:
    line = cells(as_markdown(truth), "2.5D + TS + MS + MT − Ours (supervised)")
    assert line[1:4] == ["0", "4", "4"]
    assert line[4].startswith("25.0 (")
    assert all(p.startswith((".", "1.")) for p in line[5:8])


def test_a_test_that_was_not_run_is_empty_and_says_why(truth: TableResult) -> None:
    line = cells(as_markdown(truth), "2.5D + TS + MS + MT − supervised, trained on as long")
    assert line[1:] == [*[""] * 7, "not run: supervised, trained on as long"]


def test_room_gain_and_share_are_told(truth: TableResult) -> None:
    text = as_markdown(truth)
    assert "The room, all labels (upper bound) − Ours (supervised): 50.0 (" in text
    assert "so this cohort can show a gain" in text
    gains = text[text.index("## Room") :]
    assert cells(gains, "2.5D + TS + MS + MT")[1::2] == ["0", "50 %"]
    assert cells(gains, "PGLS, the paper's rules")[1:] == ["", "", ""]


def test_too_little_room_is_said() -> None:
    text = as_markdown(made("truth", two_stream=[PERFECT], all_labels=[PERFECT]))
    assert "At least 4 are wanted, so this cohort cannot show a gain." in text


def test_a_room_that_was_not_run_is_said() -> None:
    text = as_markdown(made("truth", two_stream=[PERFECT]))
    assert "is not known: one of the two was not run." in text


def test_a_table_without_room_has_no_such_section() -> None:
    assert "## Room" not in as_markdown(summarise(ROOMLESS, {}, draws=5))


def test_seeds_and_nodes_have_their_line(truth: TableResult) -> None:
    text = as_markdown(truth)
    seeds = text[text.index("## Seeds") :]
    assert cells(seeds, "2.5D + TS + MS + MT")[1:] == ["0, 1", "75.0, 50.0", "17.7", "4 (2)", "4"]
    assert cells(seeds, "PGLS, the paper's rules")[1:] == [""] * 5


def test_the_short_axis_is_the_last_line() -> None:
    model = scored(PERFECT)
    found = summarise(
        TABLES["table2"], {}, draws=20, baseline=short_axis(model, (9, 4, 5, 3))
    )  # fmt: skip
    text = as_markdown(found)
    line = cells(text, "Short axis")
    assert line[1:6] == [""] * 5
    assert line[6].startswith("75.0")
    assert text.index("| Short axis") > text.index("| Ours (semi-supervised)")


def test_every_table_row_has_as_many_cells_as_its_head(truth: TableResult) -> None:
    for block in as_markdown(truth).split("\n\n"):
        widths = {len(line.split("|")) for line in block.splitlines() if line.startswith("|")}
        assert len(widths) <= 1


def test_notes_stand_at_the_end() -> None:
    runs = {"two-stream": {0: scored(PERFECT), 1: scored(PERFECT[:2], (1, 1), fold=(0, 0))}}
    text = as_markdown(summarise(TABLES["table1"], runs, draws=5))
    assert text.endswith("## Notes\n\n- two-stream, seed 1, is left out: fold 1 is missing\n")


def test_the_sheets_of_a_table_are_named_for_it(truth: TableResult) -> None:
    assert list(as_texts(truth)) == [
        "truth.md", "truth.csv", "truth-seeds.csv", "truth-tests.csv", "truth-gains.csv",
    ]  # fmt: skip
    assert list(as_texts(summarise(ROOMLESS, {}, draws=5))) == ["ours.md", "ours.csv"]


def test_the_sheet_of_figures_has_shares_and_empty_cells(truth: TableResult) -> None:
    lines = sheet(as_texts(truth)["truth.csv"])
    found = {(line["row"], line["figure"]): line for line in lines}
    assert len(lines) == 5 * len(TABLES["truth"].rows)
    mean = found["two-stream-mt", "auroc"]
    assert (mean["value"], mean["paper_percent"], mean["seeds"]) == ("0.625", "91.92", "2")
    assert found["null", "auroc"]["value"] == ""


def test_the_sheet_of_seeds_has_a_line_a_training(truth: TableResult) -> None:
    lines = sheet(as_texts(truth)["truth-seeds.csv"])
    assert [(line["row"], line["seed"], line["auroc"]) for line in lines] == [
        ("two-stream", "0", "0.5"),
        ("two-stream-mt", "0", "0.75"),
        ("two-stream-mt", "1", "0.5"),
        ("all-labels", "0", "1.0"),
    ]


def test_the_sheet_of_gains_has_their_shares(truth: TableResult) -> None:
    lines = {line["row"]: line for line in sheet(as_texts(truth)["truth-gains.csv"])}
    assert lines["two-stream-mt"]["share_of_room"] == "0.5"
    assert lines["pgls-both"]["value"] == ""


def test_the_sheet_of_tests_names_its_rows(truth: TableResult) -> None:
    first = sheet(as_texts(truth)["truth-tests.csv"])[0]
    assert (first["first"], first["second"], first["seeds"]) == ("all-labels", "two-stream", "0")
    assert first["difference"] == "0.5"
