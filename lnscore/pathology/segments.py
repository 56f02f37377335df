"""Splits an HL7 v2 file into messages and segments, and reads the fields of a segment.

Interface engines write such files in many ways: with several messages in a row, with MLLP framing
characters, with batch headers around the messages, and with any kind of line end.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lnscore.errors import Refusal
from lnscore.tables.messages import Message

if TYPE_CHECKING:
    from hl7apy.core import Field

MAX_BYTES = 1 << 28

BATCH = ("FHS", "BHS", "BTS", "FTS")
CHARSETS = {
    "": "utf-8",  # ASCII by the standard; undeclared UTF-8 is common and can be detected safely
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "GB 18030-2000": "gb18030",
    "BIG-5": "big5",
    "KS X 1001": "euc_kr",
    "ISO IR87": "iso2022_jp",
    "ISO IR159": "iso2022_jp_1",
} | {f"8859/{part}": f"iso8859_{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)}

_LINE_END = re.compile(rb"\r\n|\r|\n")
_FRAMING = b"\x0b\x1c"
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")


@dataclass(frozen=True)
class Segment:
    """One segment as text; `line` is its line in the file, from 1."""

    name: str
    text: str
    line: int


@dataclass(frozen=True, kw_only=True)
class Hl7Message:
    """One message with a readable header (MSH).

    Attributes:
        number: Number of the message in the file, from 1.
        line: Line of its MSH in the file.
        type: Message type of MSH-9, such as ORU^R01.
        version: HL7 version of MSH-12.
        encoding: Separator characters, by their names in hl7apy.
        segments: All segments except the MSH.
    """

    number: int
    line: int
    type: str
    version: str
    encoding: Mapping[str, str]
    segments: tuple[Segment, ...]


def read_messages(path: Path) -> Iterator[Hl7Message | Message]:
    """Split a file into messages.

    Returns:
        Messages, and P21 for each one that cannot be read, with its number and line.

    Raises:
        Refusal: F10 or F11 if the file is missing or cannot be opened; P21 if it is too large.
    """
    if not path.exists():
        raise Refusal("F10", f"{path} is not there", "a file", "Correct the path.")
    try:
        if path.stat().st_size > MAX_BYTES:
            found = f"{path.name} has {path.stat().st_size} bytes"
            raise Refusal("P21", found, f"at most {MAX_BYTES}", "Split it between messages.")
        content = path.read_bytes()
    except OSError as error:
        told = f"{path.name}: {error.strerror or type(error).__name__}"
        raise Refusal("F11", told, "a file that opens", "Check its permissions.") from None
    number = 0
    for lines in _messages(content):
        number += 1
        yield _message(number, lines)
    if number == 0:
        yield Message("P21", "E", "no HL7 message: no line begins with MSH")


def _messages(content: bytes) -> Iterator[list[tuple[int, bytes]]]:
    """Yield the lines of each message with their numbers; the MSH is the first."""
    lines: list[tuple[int, bytes]] = []
    for number, raw in enumerate(_LINE_END.split(content.removeprefix(b"\xef\xbb\xbf")), 1):
        line = raw.strip(_FRAMING)
        if line.startswith(b"MSH"):
            if lines and lines[0][1].startswith(b"MSH"):
                yield lines
            lines = []
        elif not line.strip() or line[:3].decode("latin-1") in BATCH:
            continue
        lines.append((number, line))
    if lines and lines[0][1].startswith(b"MSH"):
        yield lines


def _message(number: int, lines: list[tuple[int, bytes]]) -> Hl7Message | Message:
    first, header = lines[0]
    separator = header[3:4].decode("latin-1")
    marks = header[4:].split(header[3:4], 1)[0].decode("latin-1") if separator else ""
    if len({separator, *marks}) < 5 or (separator + marks).isalnum():
        return _unusable(number, first, "MSH does not state its separators, as |^~\\&")
    fields = header.split(header[3:4])
    charset = _field(fields, 17).split(marks[1])[0].strip().upper()
    if charset not in CHARSETS:
        return _unusable(number, first, f"MSH-18 names the charset '{charset[:40]}'")
    try:
        texts = [(line, raw.decode(CHARSETS[charset])) for line, raw in lines]
    except UnicodeDecodeError:
        told = f"it is not in the charset of MSH-18 ('{charset or 'none, so ASCII or UTF-8'}')"
        return _unusable(number, first, told)
    for line, text in texts[1:]:
        if not _NAME.fullmatch(text[:3]) or text[3:4] not in ("", separator):
            return _unusable(number, line, "the line is no segment such as OBX|1|")
    names = ("COMPONENT", "REPETITION", "ESCAPE", "SUBCOMPONENT")
    encoding = {"SEGMENT": "\r", "GROUP": "\r", "FIELD": separator}
    return Hl7Message(
        number=number,
        line=first,
        type="^".join(_field(fields, 8).split(marks[0])[:2]),
        version=_field(fields, 11).split(marks[0])[0].strip(),
        encoding=encoding | dict(zip(names, marks, strict=False)),
        segments=tuple(Segment(text[:3], text, line) for line, text in texts[1:]),
    )


def _field(fields: list[bytes], index: int) -> str:
    return fields[index].decode("latin-1").strip() if index < len(fields) else ""


def _unusable(number: int, line: int, found: str) -> Message:
    return Message("P21", "E", f"message {number}: {found}", line)


class Fields:
    """The fields of one segment, by number."""

    def __init__(self, segment: Segment, message: Hl7Message) -> None:
        """Parse the segment.

        Raises:
            ValueError: It cannot be parsed, or the version of its message is not known.
        """
        from hl7apy.consts import VALIDATION_LEVEL
        from hl7apy.exceptions import HL7apyException
        from hl7apy.parser import parse_segment

        self.segment = segment
        self._escape = message.encoding
        try:
            parsed = parse_segment(
                segment.text,
                version=message.version,
                encoding_chars=dict(message.encoding),
                validation_level=VALIDATION_LEVEL.TOLERANT,
            )
            self._fields = [(str(field.name), field) for field in parsed.children or ()]
        except (HL7apyException, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__} in {segment.name}") from error

    def repetitions(self, number: int) -> list["Repetition"]:
        """Return every repetition of a field; an empty list if the field is empty."""
        wanted = f"{self.segment.name}_{number}"
        return [Repetition(one, self._escape) for name, one in self._fields if name == wanted]

    def text(self, field: int, component: int = 1) -> str:
        """Return a component of a field's first repetition, or an empty text."""
        repetitions = self.repetitions(field)
        return repetitions[0].text(component) if repetitions else ""


class Repetition:
    """One repetition of a field."""

    def __init__(self, field: "Field", encoding: Mapping[str, str]) -> None:
        """Keep hl7apy's field."""
        self._field, self._encoding = field, encoding

    def text(self, component: int = 1, subcomponent: int = 1) -> str:
        """Return one part with its escapes decoded; an empty text if there is none."""
        for position, child in enumerate(self._field.children or (), 1):
            # Typed components have their number in the name; those of a plain text do not.
            _, _, number = str(child.name or "").rpartition("_")
            if int(number if number.isdigit() else position) == component:
                written = child.to_er7(encoding_chars=dict(self._encoding))
                parts = written.split(self._encoding["SUBCOMPONENT"])
                part = parts[subcomponent - 1] if subcomponent <= len(parts) else ""
                return self._unescaped(part).strip()
        return ""

    def _unescaped(self, text: str) -> str:
        mark = re.escape(self._encoding["ESCAPE"])
        named = {
            "F": "FIELD",
            "S": "COMPONENT",
            "T": "SUBCOMPONENT",
            "R": "REPETITION",
            "E": "ESCAPE",
        }
        return re.sub(f"{mark}([FSTRE]){mark}", lambda found: self._encoding[named[found[1]]], text)
