"""Read the names of label values from a legend file beside the label map."""

import csv
import json
from pathlib import Path

from lnscore.errors import Refusal

_SUFFIXES = (".seg.nrrd", ".nii.gz", ".nrrd", ".nhdr", ".nii")
MAX_BYTES = 1 << 20


def read_legend(label_map: Path) -> dict[int, str]:
    """Read `NAME.json` or `NAME.csv` beside `NAME.nii.gz` (or .nii, .nrrd, .seg.nrrd).

    JSON is one object, `{"1": "LN 1 AJCC8:4R"}`; CSV has two columns, `label` and `name`,
    with or without that header line.

    Args:
        label_map: Path of the label map; the file itself need not exist.

    Returns:
        Names by label value; empty if there is no legend.

    Raises:
        Refusal: M09, the legend is damaged, or both files exist.
    """
    stem = next((s for s in _SUFFIXES if label_map.name.lower().endswith(s)), label_map.suffix)
    base = label_map.name[: len(label_map.name) - len(stem)]
    there = [label_map.with_name(base + kind) for kind in (".json", ".csv")]
    there = [path for path in there if path.is_file()]
    if len(there) > 1:
        raise _unusable(" and ".join(path.name for path in there), "two legends", there[0])
    return _read(there[0]) if there else {}


def _read(path: Path) -> dict[int, str]:
    if path.stat().st_size > MAX_BYTES:
        raise _unusable(path.name, f"{path.stat().st_size} bytes", path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        pairs = _json_pairs(text) if path.suffix == ".json" else _csv_pairs(text)
        names = {int(value): name.strip() for value, name in pairs}
    except (ValueError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise _unusable(path.name, str(error), path) from error
    if len(names) < len(pairs):
        raise _unusable(path.name, "one label value twice", path)
    return names


def _json_pairs(text: str) -> list[tuple[str, str]]:
    return json.loads(text, object_pairs_hook=list)


def _csv_pairs(text: str) -> list[tuple[str, str]]:
    rows = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    if rows and not rows[0][0].strip().isdecimal():
        rows = rows[1:]
    if any(len(row) != 2 for row in rows):
        raise ValueError("a line without exactly two columns")
    return [(row[0], row[1]) for row in rows]


def _unusable(name: str, found: str, path: Path) -> Refusal:
    return Refusal(
        "M09",
        f"legend {name}: {found}",
        'one legend, as {"1": "LN 1 AJCC8:4R"} or two columns label,name',
        f"Correct {path.name}, or remove it to read the labels without names",
    )
