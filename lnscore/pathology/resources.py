"""Reads FHIR R4B files: one bundle in JSON, or NDJSON of bundles or single resources."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lnscore.errors import Refusal
from lnscore.tables.cells import shown
from lnscore.tables.messages import Message

MAX_BYTES = 1 << 28
READ = ("DiagnosticReport", "Observation", "Patient", "Specimen")
"""Types of the resources that findings are made of; other resources are skipped."""

WRONG = {"missing": "is missing", "extra_forbidden": "is not of FHIR R4B"}
"""Texts for kinds of pydantic errors; pydantic's own texts could contain a patient's name."""

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Resource:
    """One resource that FHIR R4B allows.

    Attributes:
        type: Type of the resource, such as DiagnosticReport.
        data: JSON of the resource.
        row: Entry of the bundle, or line of an NDJSON file, from 1.
        place: Place for messages: `entry 3`, or `entry 3 #o1` inside another resource.
    """

    type: str
    data: Json
    row: int
    place: str


@dataclass
class Scope:
    """Resources that may refer to each other, with an index by every name (URL, type and id)."""

    resources: list[Resource] = field(default_factory=list)
    by_name: dict[str, Resource] = field(default_factory=dict)

    def add(self, resource: Resource, full_url: str = "") -> None:
        """Add a resource under its names."""
        self.resources.append(resource)
        named = f"{resource.type}/{resource.data.get('id', '')}"
        for name in (full_url, named):
            self.by_name.setdefault(name, resource)

    def find(self, reference: str, holder: Resource) -> Resource | None:
        """Return the resource that a reference names; None if it is not in the scope."""
        if reference.startswith("#"):
            return _contained(reference[1:], holder)
        plain = reference.split("/_history/")[0]
        tail = "/".join(plain.rsplit("/", 2)[-2:])
        return self.by_name.get(plain) or self.by_name.get(tail)


def read_scopes(path: Path) -> Iterator[Scope | Message]:
    """Read a file.

    Returns:
        One scope for each bundle, and one for all single resources; P21 for every entry or line
        that is damaged or not valid FHIR R4B.

    Raises:
        Refusal: F10 or F11 if the file is missing or cannot be opened; P21 if it is too large
            or fhir.resources is not installed.
    """
    models = _models()
    documents, lines = _documents(path)
    loose = Scope()
    for number, document in documents:
        where = f"line {number}" if lines else ""
        if isinstance(document, Message):
            yield document
        elif document.get("resourceType") == "Bundle":
            yield from _bundle(document, number if lines else None, where, models)
        else:
            resource = _checked(document, number, where or "the file", models)
            if isinstance(resource, Message):
                yield resource
            elif resource is not None:
                loose.add(resource)
    if loose.resources:
        yield loose


def _models() -> dict[str, Any]:
    try:
        from fhir.resources.R4B.diagnosticreport import DiagnosticReport
        from fhir.resources.R4B.observation import Observation
        from fhir.resources.R4B.patient import Patient
        from fhir.resources.R4B.specimen import Specimen
    except ModuleNotFoundError as error:
        raise Refusal(
            "P21",
            "FHIR bundles need the package fhir.resources, which is not installed",
            "fhir.resources",
            "Install lnscore[records].",
        ) from error
    return dict(zip(READ, (DiagnosticReport, Observation, Patient, Specimen), strict=True))


def _documents(path: Path) -> tuple[Sequence[tuple[int, Json | Message]], bool]:
    """Return the JSON objects with their lines, and whether the file is NDJSON."""
    text = _text(path)
    try:
        whole = json.loads(text)
        return [(1, _object(whole, "the file", None))], False
    except RecursionError:
        return [(1, Message("P21", "E", "the file is nested too deeply"))], False
    except ValueError as error:
        lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
        if len(lines) < 2 or not lines[0][1].rstrip().endswith("}"):
            at = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "the file"
            return [(1, Message("P21", "E", f"{at} is no JSON"))], False
    return [(number, _line(number, line)) for number, line in lines], True


def _text(path: Path) -> str:
    if not path.exists():
        raise Refusal("F10", f"{path} is not there", "a file", "Correct the path.")
    try:
        if path.stat().st_size > MAX_BYTES:
            found = f"{path.name} has {path.stat().st_size} bytes"
            raise Refusal("P21", found, f"at most {MAX_BYTES}", "Write it in several files.")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        told = f"{path.name}: {error.strerror or type(error).__name__}"
        raise Refusal("F11", told, "a file that opens", "Check its permissions.") from None
    except UnicodeDecodeError:
        raise Refusal(
            "P21", f"{path.name} is not UTF-8", "JSON, which is UTF-8", "Export it again."
        ) from None


def _line(number: int, line: str) -> Json | Message:
    try:
        return _object(json.loads(line), f"line {number}", number)
    except (ValueError, RecursionError):
        return Message("P21", "E", f"line {number} is no JSON", number)


def _object(value: Any, place: str, row: int | None) -> Json | Message:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return value
    return Message("P21", "E", f"{place} is no JSON object", row)


def _bundle(
    bundle: Json, line: int | None, where: str, models: dict[str, Any]
) -> Iterator[Scope | Message]:
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        yield Message("P21", "E", "entry of the bundle is no list", line)
        return
    scope = Scope()
    for number, entry in enumerate(entries, 1):
        place = f"{where} entry {number}".strip()
        row = line or number
        held = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(held, dict):
            yield Message("P21", "E", f"{place} has no resource", row)
            continue
        resource = _checked(held, row, place, models)
        if isinstance(resource, Message):
            yield resource
        elif resource is not None:
            scope.add(resource, str(entry.get("fullUrl", "")))
    yield scope


def _checked(data: Json, row: int, place: str, models: dict[str, Any]) -> Resource | Message | None:
    """Return a resource that is valid FHIR R4B, P21, or None for a type that is not read."""
    from pydantic import ValidationError

    kind = data.get("resourceType")
    if not isinstance(kind, str):
        return Message("P21", "E", f"{place} has no resourceType", row)
    if kind not in models:
        return None
    try:
        models[kind].model_validate(data)
    except ValidationError as error:
        wrong = [_wrong(one["loc"], one["type"]) for one in error.errors(include_input=False)]
        return Message("P21", "E", f"{place} ({kind}): {'; '.join(wrong[:3])}", row)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError, ArithmeticError):
        return Message("P21", "E", f"{place} ({kind}) is not as FHIR R4B wants it", row)
    return Resource(kind, data, row, place)


def _wrong(location: tuple[int | str, ...], kind: str) -> str:
    path = ".".join(map(str, location))
    return f"{shown(path)} {WRONG.get(kind, 'is not as FHIR R4B wants it')}"


def _contained(name: str, holder: Resource) -> Resource | None:
    for one in holder.data.get("contained", []):
        if isinstance(one, dict) and one.get("id") == name:
            kind = str(one.get("resourceType", ""))
            return Resource(kind, one, holder.row, f"{holder.place} #{name}")
    return None
