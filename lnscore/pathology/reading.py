"""Opens a pathology file with the reader that its content needs; refusals become messages."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lnscore.errors import Refusal
from lnscore.pathology.options import Format, TableOptions
from lnscore.pathology.rows import SourceRow
from lnscore.tables.messages import Message

HEAD_BYTES = 1 << 16
_HL7 = ("MSH", "FHS", "BHS")


@dataclass(frozen=True)
class FindingRows:
    """Rows of a file, which are read during iteration.

    Attributes:
        format: Format of the file.
        said: Notes on how the file was read, such as its encoding.
        rows: Rows and messages of the reader.
    """

    format: Format
    notes: tuple[str, ...]
    rows: Iterator[SourceRow | Message]


def open_pathology(path: Path, options: TableOptions) -> FindingRows:
    """Open a file with the reader that it needs."""
    try:
        kind = options.format if options.format != "auto" else kind_of(path)
        _refuse_idle_options(kind, options)
        notes, rows = _opened(path, kind, options)
    except Refusal as refusal:
        kind = "table" if options.format == "auto" else options.format
        return FindingRows(kind, (), iter([told(refusal)]))
    return FindingRows(kind, notes, _guarded(rows))


def kind_of(path: Path) -> Format:
    """Detect the format of a file by its first bytes.

    Raises:
        Refusal: F10 or F11 if it cannot be opened; P14 if it is a JSON array or XML.
    """
    text = _head(path)
    start = text.lstrip("\ufeff\x0b \t\r\n")
    if start.startswith(_HL7) and len(start) > 3 and not start[3].isalnum():
        return "hl7"
    if start.startswith("{"):
        first = start.splitlines()[0]
        lines = start.count("\n") > 1 and first.rstrip().endswith("}")
        if '"resourceType"' in (first if lines else start):
            return "fhir"
        return "jsonl"
    if start.startswith("["):
        raise Refusal(
            "P14", "the file is a JSON array", "one JSON object a line", "Write it as JSON Lines."
        )
    if start.startswith(("<?xml", "<Bundle")):
        raise Refusal(
            "P14",
            "the file is XML",
            "FHIR as JSON, HL7 v2 with bars, or a table",
            "Export it as one of these.",
        )
    return "table"


def told(refusal: Refusal) -> Message:
    """Return a refusal as an error message of the whole file."""
    return Message(refusal.code, "E", f"{refusal.found}; wanted {refusal.wanted}. {refusal.fix}")


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise Refusal("F10", f"{path} is not there", "a file", "Correct the path.") from None
    except OSError as error:
        found = f"{path.name}: {error.strerror}"
        raise Refusal("F11", found, "a file that opens", "Check its permissions.") from None
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "replace")
    return head.decode("utf-8", "replace")


def _refuse_idle_options(kind: Format, options: TableOptions) -> None:
    """Refuse options that have no effect on this format, as they are probably a mistake."""
    given = {"--mapping": options.mapping, "--sheet": options.sheet,
             "--id-column": options.id_column, "--encoding": options.encoding}  # fmt: skip
    idle = [name for name, value in given.items() if value is not None and kind != "table"]
    if options.layout is not None and kind != "hl7":
        idle.append("--layout")
    if idle:
        wanted = "HL7 messages" if idle == ["--layout"] else "a table"
        fix = "Leave the option out, or name the file's kind with --format."
        raise Refusal("P14", f"{idle[0]} for a file that is {_named(kind)}", wanted, fix)


def _named(kind: Format) -> str:
    names = {"table": "a table", "jsonl": "JSON Lines", "hl7": "HL7 messages", "fhir": "FHIR"}
    return names[kind]


def _opened(
    path: Path, kind: Format, options: TableOptions
) -> tuple[tuple[str, ...], Iterator[SourceRow | Message]]:
    if kind == "jsonl":
        from lnscore.pathology.json_lines import read_json_lines

        return (), read_json_lines(path)
    if kind == "fhir":
        from lnscore.pathology.fhir import read_fhir

        return (), read_fhir(path)
    if kind == "hl7":
        from lnscore.pathology.hl7 import read_hl7
        from lnscore.pathology.layouts import read_layout

        layout = read_layout(options.layout) if options.layout else None
        return (), read_hl7(path, layout)
    return _table(path, options)


def _table(
    path: Path, options: TableOptions
) -> tuple[tuple[str, ...], Iterator[SourceRow | Message]]:
    from lnscore.pathology.mapping import read_mapping
    from lnscore.pathology.wide import source_rows
    from lnscore.tables.sheets import read_sheet

    mapping = read_mapping(options.mapping) if options.mapping else None
    sheet = read_sheet(
        path,
        sheet=options.sheet or (mapping.sheet if mapping else None),
        header_rows=mapping.header_rows if mapping else None,
        skip_rows=mapping.skip_rows if mapping else None,
        encoding=options.encoding or (mapping.encoding if mapping else None),
        delimiter=mapping.delimiter if mapping else None,
    )
    return sheet.notes, source_rows(sheet, mapping, id_column=options.id_column)


def _guarded(rows: Iterator[SourceRow | Message]) -> Iterator[SourceRow | Message]:
    """Pass the rows on; turn a refusal or an error of the file into a last message."""
    try:
        yield from rows
    except Refusal as refusal:
        yield told(refusal)
    except OSError as error:
        yield Message("F11", "E", f"the file cannot be read any further ({error.strerror})")
