"""Reads tables in text files (CSV, TSV and similar): finds the delimiter, yields the records."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from lnscore.tables.charsets import Encoding, refused

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", "^": "caret", "~": "tilde",
              "\x1f": "unit separator", "¦": "broken bar", "，": "full-width comma"}  # fmt: skip
"""Names of the delimiters, most common first; the order decides a tie."""

LONGEST_CELL = 100_000
"""Largest length of a cell; a longer one means that a quotation mark is never closed."""

_SAMPLE = 1 << 16
_RECORDS = 200


@dataclass(frozen=True)
class TextTable:
    """A text file, with the encoding and delimiter to cut it into records."""

    path: Path
    encoding: Encoding
    delimiter: str
    notes: tuple[str, ...]
    declared: bool
    """Whether the first line is Excel's `sep=;`."""

    def records(self) -> Iterator[tuple[str, ...]]:
        """Yield every record, also blank lines and a `sep=` line, so that its count is the row.

        Raises:
            Refusal: P14 if a quotation mark is never closed.
        """
        if not self.delimiter:
            yield from self._lines()
            return
        csv.field_size_limit(LONGEST_CELL)
        with self._open() as file:
            reader = csv.reader(file, delimiter=self.delimiter)
            for number in count(1):
                try:
                    record = next(reader, None)
                except csv.Error as error:
                    raise _unclosed(number, str(error)) from None
                if record is None:
                    return
                yield tuple(record)

    def _lines(self) -> Iterator[tuple[str, ...]]:
        with self._open() as file:
            while line := file.readline(LONGEST_CELL):
                yield (line.strip("\r\n").strip('"'),)

    def _open(self) -> io.TextIOWrapper:
        # The whole file was decoded before; "replace" is for a file that has changed since.
        return self.path.open(encoding=self.encoding.codec, errors="replace", newline="")


def text_table(path: Path, encoding: Encoding, delimiter: str | None = None) -> TextTable:
    r"""Find the delimiter of a text file.

    Args:
        path: The file.
        encoding: Encoding of the file.
        delimiter: Delimiter given by the user, used without detection; `tab` and `\t` are allowed.

    Raises:
        Refusal: P14 if the file is empty or the delimiter is not one character.
    """
    with path.open(encoding=encoding.codec, errors="replace", newline="") as file:
        sample = file.read(_SAMPLE)
    if not sample.strip("\ufeff \t\r\n\0,;|"):
        raise refused("the file is empty", "a table with headings", "Export the table again")
    declared = _declared(sample)
    if delimiter:
        used, how = _one_character(delimiter), "as asked"
    elif declared:
        used, how = declared, "as its first line says"
    else:
        used, how = _likeliest(sample), "detected"
    notes = f"delimiter: {DELIMITERS.get(used, repr(used))}, {how}" if used else (
        "delimiter: none found, one column"
    )  # fmt: skip
    return TextTable(path, encoding, used, (encoding.notes, notes), bool(declared))


def _declared(sample: str) -> str:
    first = sample.splitlines()[0].strip('" ')
    return first[4] if first[:4].casefold() == "sep=" and len(first) == 5 else ""


def _one_character(delimiter: str) -> str:
    used = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}.get(delimiter, delimiter)
    if len(used) != 1 or used in '"\r\n ':
        raise refused(f"delimiter {delimiter!r}", "one character, or tab", "Correct the delimiter")
    return used


def _likeliest(sample: str) -> str:
    """Return the delimiter that cuts most lines into equally many cells; "" if none does."""
    scores = {delimiter: _evenness(sample, delimiter) for delimiter in DELIMITERS}
    best = max(scores, key=lambda delimiter: scores[delimiter])
    return best if scores[best] > 0 else ""


def _evenness(sample: str, delimiter: str) -> float:
    """Return the share of records with the most common number of cells, plus a small bonus.

    The bonus grows with the number of cells.
    """
    if delimiter not in sample:
        return 0
    try:
        lines = io.StringIO(sample, newline="")
        records = list(islice(csv.reader(lines, delimiter=delimiter), _RECORDS))
    except csv.Error:
        return 0
    # The sample may end within a record, so the last one is left out.
    sizes = Counter(len(record) for record in (records[:-1] or records) if record)
    if not sizes:
        return 0
    size, times = max(sizes.items(), key=lambda item: (item[1] * (item[0] > 1), item[0]))
    return times / sizes.total() + min(size, 50) / 200 if size > 1 else 0


def _unclosed(row: int, error: str) -> Exception:
    return refused(
        f"row {row} cannot be cut into cells ({error})",
        "quotation marks that are closed, and single ones doubled",
        "Look for a stray quotation mark in this row or above",
    )
