"""Finds the header rows of a table, and the headings of each column."""

import re
from collections.abc import Sequence

LOOKED_AT = 40
"""Number of rows that are examined to find where the headings end."""

MOST_COLUMNS = 16_384
"""Largest number of columns, the same as in Excel."""

_VALUE = re.compile(r"[-+]?\d+([.,]\d+)?\s*%?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|\d+\s*/\s*\d+")


def count_headers(top: Sequence[Sequence[str]]) -> int:
    """Return the number of header rows among the first rows of a table.

    There are several header rows only if the first one has empty cells that a lower one fills,
    as headings of groups have, and if the rows below hold numbers and the header rows do not.
    """
    numeric = [_share_of_values(row) for row in top]
    first = next((i for i, share in enumerate(numeric) if share >= 0.2), len(top))
    # Headings may be station numbers: if a row of `tot` and `+` follows, they are not data.
    while first + 1 < len(top) and says_what_is_counted(top[first + 1]):
        first = next((i for i in range(first + 2, len(top)) if numeric[i] >= 0.2), len(top))
    if not 1 < first < len(top):
        return 1
    head = top[0]
    below = {i for row in top[1:first] for i, cell in enumerate(row) if cell.strip()}
    open_cells = {i for i in below if i >= len(head) or not head[i].strip() or _repeats(head, i)}
    return first if open_cells else 1


def headings_of(rows: Sequence[Sequence[str]], *, fill: bool) -> tuple[tuple[str, ...], ...]:
    """Return the header cells of every column, from the top.

    Args:
        rows: The header rows.
        fill: Whether to repeat a group's heading in the empty cells to its right. This is for
            text files, which do not mark merged cells. A cell is filled if the column has a
            heading below it and the cells above it are in the same group.
    """
    width = min(max((len(row) for row in rows), default=0), MOST_COLUMNS)
    table = [[_line(cell) for cell in row[:width]] + [""] * (width - len(row)) for row in rows]
    if fill:
        for level in range(len(table) - 1):
            _fill(table, level)
    columns = list(zip(*table, strict=True)) if table else []
    while columns and not any(columns[-1]):
        columns.pop()
    return tuple(columns)


def _fill(table: list[list[str]], level: int) -> None:
    row = table[level]
    for column in range(1, len(row)):
        if row[column] or not any(lower[column] for lower in table[level + 1 :]):
            continue
        if all(upper[column] == upper[column - 1] for upper in table[:level]) and (
            level == 0 or any(table[level - 1][column - 1 : column])
        ):
            row[column] = row[column - 1]


def _share_of_values(row: Sequence[str]) -> float:
    filled = [cell.strip() for cell in row if cell.strip()]
    return sum(bool(_VALUE.fullmatch(cell)) for cell in filled) / max(len(filled), 1)


def _repeats(row: Sequence[str], column: int) -> bool:
    return column > 0 and row[column] == row[column - 1] != ""


def says_what_is_counted(row: Sequence[str]) -> bool:
    """Return whether a row holds only words such as `tot` and `+`, and at least two of them."""
    words = {cell.strip().casefold() for cell in row if cell.strip()}
    return len(words) > 1 and words <= TOTAL | POSITIVE


def _line(cell: str) -> str:
    return " ".join(cell.split())


TOTAL = {"tot", "total", "totals", "n", "no", "num", "nb", "all", "exam", "examined", "dissected",
         "resected", "removed", "retrieved", "harvested", "sampled", "yield", "preleves",
         "gesamt", "untersucht", "l", "lns", "t", "检出", "检出数", "清扫", "清扫数", "总数",
         "郭清", "郭清個数", "総数", "検索"}  # fmt: skip


POSITIVE = {"+", "pos", "positive", "positives", "involved", "inv", "met", "mets", "meta",
            "metastatic", "metastasis", "metastases", "m", "n+", "pn", "invaded", "envahis",
            "befallen", "positiv", "阳性", "阳性数", "转移", "转移数", "陽性", "転移",
            "転移個数", "転移数"}  # fmt: skip
