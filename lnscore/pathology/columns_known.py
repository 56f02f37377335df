"""Finds the columns of known fields (patient, report, dates, therapy) by their headings."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lnscore.pathology.headings import letter_of
from lnscore.pathology.rows import FIELDS

_WORDS: Mapping[str, tuple[str, ...]] = {
    "patient_key": (r"(patient|pat|pt)[ _-]?(id|no|nr|number|key|code)|patient", r"mrn|pid|id|upi",
                    r"hospital (id|no|number)|case (id|no|number)|subject( ?id)?",
                    r"住院号|患者编号|病人号|病案号|患者id|患者番号|カルテ番号"),
    "report_id": (r"(report|path|pathology|histology|specimen|accession)[ _-]?(id|no|nr|number)",
                  r"病理号|报告号|病理番号|標本番号"),
    "report_date": (r"(report|reported|path|pathology|histology)[ _-]?(date|day)",
                    r"date of (the )?(report|pathology|histology)", r"报告日期|病理日期|報告日"),
    "surgery_date": (r"(surgery|operation|op|resection|o?esophagectomy)[ _-]?(date|day)",
                     r"date of (the )?(surgery|operation|resection|op)", r"date op(eration)?",
                     r"手术日期|手術日"),
    "station_system": (r"(station|lymph node|ln)?[ _-]?(system|classification)",),
    "station": (r"(ln|lymph node|node)?[ _-]?(stations?|levels?|groups?)( no| code)?",
                r"淋巴结站|淋巴结组|淋巴结|リンパ節"),
    "side": (r"side|laterality|seite|cote", r"侧别|左右"),
    "n_examined": (r"(n|no|number|nodes|lns?)?[ _-]?(of )?(nodes )?(examined|total|tot|resected|"
                   r"retrieved|harvested|dissected)", r"检出数|清扫数|总数|郭清個数"),
    "n_positive": (r"(n|no|number|nodes|lns?)?[ _-]?(of )?(nodes )?(positive|pos|involved|"
                   r"metastatic)",
                   r"阳性数|转移数|転移個数|陽性数"),
    "status": (r"status|result", r"结果|結果"),
    "neoadjuvant": (r".*neo[ _-]?adjuvant.*|nac|nact|ncrt", r"pre[ -]?op(erative)? (therapy|ct)",
                    r"新辅助.*|術前治療.*"),
    "source_row": (),
}  # fmt: skip
"""For each field, patterns of its heading, most specific first."""


@dataclass(frozen=True)
class KnownColumn:
    """A column of a field, and the doubt about it, if there is any."""

    column: int
    unsure: str = ""


def known_columns(
    parts: Sequence[Sequence[str]], samples: Sequence[Sequence[str]]
) -> dict[str, KnownColumn]:
    """Find the column of each field.

    Args:
        parts: Header cells of every column.
        samples: Cells of the first rows, column by column; a filled column is preferred to
            one that is empty there.
    """
    found: dict[str, KnownColumn] = {}
    for name, patterns in _WORDS.items():
        taken = {one.column for one in found.values()}
        hits = [
            column
            for pattern in (name, *patterns)
            for column, cells in enumerate(parts)
            if column not in taken and any(re.fullmatch(pattern, text) for text in _forms(cells))
        ]
        hits = list(dict.fromkeys(hits))
        filled = [column for column in hits if any(samples[column])] or hits
        if filled:
            found[name] = KnownColumn(filled[0], _doubt(name, filled, parts))
    return found


def _forms(cells: Sequence[str]) -> list[str]:
    """Return the whole heading in one line, and its lowest cell."""
    return [_plain(" ".join(cells)), _plain(cells[-1])] if cells else []


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKD", text).casefold()
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return " ".join(unicodedata.normalize("NFC", text).replace(".", " ").split()).strip(" :#")


def _doubt(name: str, columns: Sequence[int], parts: Sequence[Sequence[str]]) -> str:
    if len(columns) == 1:
        return ""
    others = ", ".join(f"[{letter_of(column)}]" for column in columns[1:4])
    canonical = _plain(parts[columns[0]][-1]).replace(" ", "_") in FIELDS
    return "" if canonical else f"or is it {others}?"
