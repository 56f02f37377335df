"""Format a reproduced table as Markdown in the paper's layout, and collect its CSV files.

A cell is empty if the row was not run, or if the paper does not print the figure.
"""

from collections.abc import Sequence

from trainer.evaluation.bootstrap import Interval
from trainer.evaluation.tables import p_value, percent, table
from trainer.reproduction import sheets
from trainer.reproduction.comparing import ComparisonResult, Gain, LabelHeadroom
from trainer.reproduction.labels import HEADINGS, MARKED, PARTS, label, label_of, paper, parts
from trainer.reproduction.results import RowResult, TableResult

GROUPED = ("table1", "networks")
"""Tables with a heading for each group of rows."""

LEAST_ROOM = 0.04
"""Smallest room, in AUROC, with which a cohort can show a gain."""

Lines = list[list[str]]


def as_texts(made: TableResult) -> dict[str, str]:
    """Return file contents by file name: the Markdown, and the CSV of `sheets.as_csv`."""
    return {f"{made.table.name}.md": as_markdown(made), **sheets.as_csv(made)}


def as_markdown(made: TableResult) -> str:
    """Return the table, its tests, its room if it has one, seeds and nodes, and notes."""
    sections = [
        (f"# {made.table.title}", _explained(made) + _main(made)),
        ("## Paired tests of AUROC", _tests(made)),
        ("## Room, gain and share", _room(made)),
        ("## Seeds and nodes", _seeds(made)),
        ("## Notes", "".join(f"- {note}\n" for note in made.notes)),
    ]
    return "\n".join(f"{title}\n\n{text}" for title, text in sections if text)


def _explained(made: TableResult) -> str:
    return (
        "In percent. Ours is the mean over seeds of the figure pooled out of fold, with its 95 % "
        f"interval from {made.draws} draws of whole patients (seed {made.seed}), the same draws "
        "for every seed and row. The paper's figures are of its own cohort. "
        "A cell that was not run is empty.\n\n"
    )


def _main(made: TableResult) -> str:
    printed = [name for name in HEADINGS if any(_printed(one, name) for one in made.found)]
    marks = PARTS if made.table.name in MARKED else ()
    head = ["Method", *marks]
    for name, heading in HEADINGS.items():
        head += [heading, "paper"] if name in printed else [heading]
    lines: Lines = []
    group = ""
    for one in [*made.found, *([made.baseline] if made.baseline else [])]:
        if made.table.name in GROUPED and one.row.group != group:
            group = one.row.group
            lines.append([f"**{group}**", *[""] * (len(head) - 1)])
        has = parts(one.row)
        line = [label(made.table, one.row), *("✓" if mark in has else "" for mark in marks)]
        for name in HEADINGS:
            line.append(_percent(one.figures.get(name)))
            line += [_printed(one, name)] if name in printed else []
        lines.append(line)
    return table(head, lines)


def _printed(one: RowResult, figure: str) -> str:
    value = paper(one.row, figure)
    return "" if value is None else f"{value:.2f}"


def _percent(figure: Interval | None) -> str:
    return "" if figure is None else percent(figure)


def _tests(made: TableResult) -> str:
    if not made.tests:
        return ""
    head = ["Pair", "seeds", "nodes", "patients", "difference", "p", "p (Holm)", "p (DeLong)", ""]
    about = (
        "Points of AUROC, the mean over the seeds that both have, on the nodes that both have. p "
        "is of the paired bootstrap of patients; Holm's counts the tests of this table that could "
        "be run; DeLong's is of the probabilities averaged over seeds and takes nodes as "
        "independent.\n\n"
    )
    return about + table(head, [_test_line(made, test) for test in made.tests])


def _test_line(made: TableResult, test: ComparisonResult) -> list[str]:
    first, second = test.comparison.first, test.comparison.second
    pair = f"{label_of(made.table, first)} − {label_of(made.table, second)}"
    if test.difference is None:
        return [pair, *[""] * 7, test.note]
    return [
        pair,
        _numbers(test.seeds),
        str(test.nodes),
        str(test.patients),
        percent(Interval(test.difference, test.low, test.high)),
        *map(p_value, (test.p, test.p_holm, test.p_delong)),
        test.note,
    ]


def _room(made: TableResult) -> str:
    if made.room is None:
        return ""
    base = label_of(made.table, made.table.supervised)
    head = ["Method", "seeds", f"gain over {base}", "share of the room"]
    lines = [
        [label(made.table, one.row), _numbers(one.seeds), _percent(one.gain), _share(one)]
        for one in made.room.gains
    ]
    return f"{_room_line(made, made.room)}\n\n{table(head, lines)}"


def _room_line(made: TableResult, room: LabelHeadroom) -> str:
    top, base = (label_of(made.table, n) for n in (made.table.all_labels, made.table.supervised))
    if room.room is None:
        return f"The room, {top} − {base}, is not known: one of the two was not run."
    enough = room.room.value >= LEAST_ROOM
    verdict = "so this cohort can show a gain" if enough else "so this cohort cannot show a gain"
    return (
        f"The room, {top} − {base}: {percent(room.room)} points of AUROC on seeds "
        f"{_numbers(room.seeds)}. At least {100 * LEAST_ROOM:g} are wanted, {verdict}."
    )


def _share(one: Gain) -> str:
    return "" if one.share is None else f"{100 * one.share:.0f} %".replace("-", "−")


def _seeds(made: TableResult) -> str:
    head = ["Method", "seeds", "AUROC of each", "SD", "nodes (malignant)", "patients"]
    lines: Lines = []
    for one in [*made.found, *([made.baseline] if made.baseline else [])]:
        nodes = [f"{one.nodes} ({one.positives})", str(one.patients)] if one.nodes else ["", ""]
        each = ", ".join(f"{100 * value:.1f}" for value in one.per_seed.values())
        sd = "" if one.sd is None else f"{100 * one.sd:.1f}"
        lines.append([label(made.table, one.row), _numbers(one.seeds), each, sd, *nodes])
    return table(head, lines)


def _numbers(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
