"""Reads FHIR R4B: turns DiagnosticReports with their Observations into findings.

One finding is the result of one station in one report: how many nodes were examined and how
many had metastasis. The station is the observation's `bodySite`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lnscore.pathology.resources import Json, Resource, Scope, read_scopes
from lnscore.pathology.rows import SourceRow
from lnscore.stations import vocabulary
from lnscore.tables.cells import shown
from lnscore.tables.messages import Message

LOINC = ("http://loinc.org", "urn:oid:2.16.840.1.113883.6.1")
SNOMED = ("http://snomed.info/sct", "urn:oid:2.16.840.1.113883.6.96")
CODES = {
    "n_examined": ((LOINC, "21894-1"), (LOINC, "92833-3"), (SNOMED, "444025001")),
    "n_positive": ((LOINC, "21893-3"), (SNOMED, "443527007")),
}
"""LOINC: regional lymph nodes examined, lymph nodes examined by light microscopy, regional lymph
nodes positive. SNOMED CT: number of lymph nodes examined, number involved by malignancy."""

INTERPRETATIONS = {"POS": "positive", "NEG": "negative", "IND": "indeterminate"}
NOT_DONE = ("not-performed", "not-applicable")
FINAL = ("final", "amended", "corrected", "appended")
MOST_LEVELS = 8
"""Deepest level of observations within observations; deeper levels are taken as a loop."""


class _Unusable(Exception):
    """A resource that cannot be used, and the reason."""

    def __init__(self, resource: Resource, found: str) -> None:
        super().__init__(resource, found)
        self.resource, self.found = resource, found


@dataclass
class _Finding:
    """The values of one station in one report, as far as they are read."""

    row: int
    values: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)


def read_fhir(path: Path) -> Iterator[SourceRow | Message]:
    """Read every finding of a bundle, or of NDJSON.

    Args:
        path: JSON file with one Bundle, or with one Bundle or one resource in each line.

    Returns:
        One row for each station and report. Its `row` is the entry of the bundle or the line of
        the NDJSON; its columns are the entries that held the counts. P21 for each part that
        cannot be used.

    Raises:
        Refusal: F10, F11 or P21 if the file cannot be read or fhir.resources is not installed.
    """
    reports = failed = 0
    for scope in read_scopes(path):
        if isinstance(scope, Message):
            failed += 1
            yield scope
            continue
        told: set[str] = set()
        for one in scope.resources:
            if one.type == "DiagnosticReport":
                reports += 1
                yield from _report(one, scope, told)
        yield from _untold(scope, told)
    if reports + failed == 0:
        yield Message("P21", "E", "no DiagnosticReport in the file")


def _report(report: Resource, scope: Scope, told: set[str]) -> Iterator[SourceRow | Message]:
    """Yield the findings of one report, or the error that makes the report unusable."""
    try:
        observations = list(_observations(report, scope, 0))
        told |= {one.place for one in observations}
        if (state := _text(report.data.get("status"))) not in FINAL:
            yield _warning(report, f"status {shown(state)} is not final: left out")
            return
        values = _facts(report, scope)
        findings: dict[tuple[str, str], _Finding] = {}
        for one in observations:
            yield from _observe(one, findings)
        for (system, station), one in findings.items():
            about = values | {"station_system": system, "station": station}
            yield SourceRow(about | one.values, one.row, one.columns)
    except _Unusable as error:
        bad = error.resource
        yield Message("P21", "E", f"{bad.place} ({bad.type}): {error.found}", bad.row)


def _observations(holder: Resource, scope: Scope, level: int) -> Iterator[Resource]:
    """Yield the results of a report, and the members of each result."""
    if level > MOST_LEVELS:
        raise _Unusable(holder, f"members of members, {MOST_LEVELS} levels deep")
    key = "result" if holder.type == "DiagnosticReport" else "hasMember"
    for one in _dicts(holder.data.get(key)):
        name = _text(one.get("reference"))
        found = scope.find(name, holder) if name else None
        if found is None:
            raise _Unusable(holder, f"{key} {shown(name)} is not in the file")
        if found.type == "Observation":
            yield found
            yield from _observations(found, scope, level + 1)


def _observe(one: Resource, findings: dict[tuple[str, str], _Finding]) -> Iterator[Message]:
    """Add the counts of an observation and its components to the finding of its station."""
    parts = [one.data, *_dicts(one.data.get("component"))]
    counted = [(name, part) for part in parts if (name := _field(part))]
    if not counted:
        return
    if (state := _text(one.data.get("status"))) not in FINAL:
        yield _warning(one, f"status {shown(state)} is not final: left out")
        return
    station = _station(one)
    if not station[1]:
        yield _warning(one, "a count without a bodySite belongs to no station: left out")
        return
    finding = findings.setdefault(station, _Finding(one.row, columns=_station_column(one)))
    for name, part in counted:
        _put(finding, name, _value(part), one)
        if status := _status(part):
            _put(finding, "status", status, one)


def _station_column(one: Resource) -> dict[str, str]:
    """Return the station's column, if the observation is an entry or a line of its own."""
    alone = one.place in (f"entry {one.row}", f"line {one.row}")
    return {"station": "bodySite"} if alone else {}


def _put(finding: _Finding, name: str, value: str, source: Resource) -> None:
    before = finding.values.setdefault(name, value)
    if before != value:
        told = f"{name} {shown(value)} after {shown(before)} for the same station"
        raise _Unusable(source, told)
    finding.columns.setdefault(name, source.place)


def _field(part: Json) -> str:
    """Return which count a part holds, by its code; empty if it holds no count."""
    codings = [(_system(one), _text(one.get("code"))) for one in _codings(part.get("code"))]
    for name, known in CODES.items():
        if any(
            system in uris and code == wanted for uris, wanted in known for system, code in codings
        ):
            return name
    return ""


def _system(coding: Json) -> str:
    """Return the system of a coding; a version at the end of the SNOMED CT URI is removed."""
    written = _text(coding.get("system")).rstrip("/")
    return SNOMED[0] if written.startswith(SNOMED[0] + "/") else written


def _value(part: Json) -> str:
    """Return a count as text; a comparator is kept, so that the checks can refuse it."""
    quantity = _dict(part.get("valueQuantity"))
    if quantity:
        return _text(quantity.get("comparator")) + _text(quantity.get("value"))
    return _text(part.get("valueInteger")) or _text(part.get("valueString"))


def _status(part: Json) -> str:
    """Return the status that the observation itself gives, or an empty text."""
    reasons = {_text(one.get("code")) for one in _codings(part.get("dataAbsentReason"))}
    if reasons & set(NOT_DONE):
        return "not_sampled"
    said = [one for concept in _dicts(part.get("interpretation")) for one in _codings(concept)]
    known = {INTERPRETATIONS.get(_text(one.get("code")), "") for one in said} - {""}
    return known.pop() if len(known) == 1 else ""


def _station(one: Resource) -> tuple[str, str]:
    """Return the system and the code of the station.

    A site's own codes are preferred to SNOMED CT, which has no code for most stations.
    """
    site = _dict(one.data.get("bodySite"))
    found: dict[str, set[str]] = {}
    for coding in _codings(site):
        system = _station_system(_system(coding))
        found.setdefault(system, set()).add(_text(coding.get("code")))
    known = {system for system in found if system in vocabulary.systems()}
    chosen = (known - {"SCT"}) or known or set(found)
    if len(chosen) > 1 or any(len(found[system]) > 1 for system in chosen):
        names = ", ".join(shown(name) for name in sorted(chosen))
        raise _Unusable(one, f"bodySite has several codes of {names}; wanted one station")
    for system in chosen:
        return system, next(iter(found[system]))
    return "", _text(site.get("text"))


def _station_system(uri: str) -> str:
    """Return the system that the last part of the URI names; the URI itself if it is unknown."""
    if uri in SNOMED:
        return "SCT"
    last = uri.replace("#", "/").replace(":", "/").rsplit("/", 1)[-1]
    return vocabulary.system_of(last) or uri


def _facts(report: Resource, scope: Scope) -> dict[str, str]:
    """Return the patient, the number and the dates of a report."""
    data = report.data
    return {
        "patient_key": _patient(report, scope),
        "report_id": _one_id(report, "identifier", _dicts(data.get("identifier")))
        or _text(data.get("id")),
        "report_date": _text(data.get("issued"))[:10],
        "surgery_date": _surgery_date(report, scope),
    }


def _patient(report: Resource, scope: Scope) -> str:
    subject = _dict(report.data.get("subject"))
    reference = _text(subject.get("reference"))
    patient = scope.find(reference, report) if reference else None
    if patient is not None and patient.type == "Patient":
        ids = _dicts(patient.data.get("identifier"))
        return _one_id(patient, "identifier", ids) or _missing(patient, "identifier")
    value = _text(_dict(subject.get("identifier")).get("value"))
    return value or _missing(report, "subject with an identifier")


def _missing(resource: Resource, what: str) -> str:
    raise _Unusable(resource, f"no {what}")


def _one_id(resource: Resource, what: str, written: list[Json]) -> str:
    """Return the only identifier; of several the medical record number, or the official one."""
    ids = [one for one in written if _text(one.get("value")) and one.get("use") != "old"]
    medical = [one for one in ids if _is_type(one, "MR")]
    official = [one for one in ids if one.get("use") == "official"]
    for chosen in (ids, medical, official):
        if len(chosen) == 1:
            return _text(chosen[0].get("value"))
    if ids:
        # The message lists only the systems: an id in a message would identify a patient.
        systems = ", ".join(shown(_text(one.get("system"))) for one in ids[:5])
        raise _Unusable(
            resource, f"{len(ids)} times {what} ({systems}); wanted one, or one official"
        )
    return ""


def _is_type(identifier: Json, wanted: str) -> bool:
    return any(_text(one.get("code")) == wanted for one in _codings(identifier.get("type")))


def _surgery_date(report: Resource, scope: Scope) -> str:
    """Return the day the specimens were taken, as the specimens or else the report have it."""
    taken = set()
    for one in _dicts(report.data.get("specimen")):
        specimen = scope.find(_text(one.get("reference")), report)
        if specimen is not None and specimen.type == "Specimen":
            taken.add(_day(_dict(specimen.data.get("collection")), "collected"))
    taken -= {""}
    return taken.pop() if len(taken) == 1 else _day(report.data, "effective")


def _day(data: Json, name: str) -> str:
    period = _dict(data.get(f"{name}Period"))
    return (_text(data.get(f"{name}DateTime")) or _text(period.get("start")))[:10]


def _untold(scope: Scope, told: set[str]) -> Iterator[Message]:
    """Yield a warning for each count that no report of the scope refers to."""
    for one in scope.resources:
        if one.type == "Observation" and one.place not in told and _field(one.data):
            yield _warning(one, "a count that no DiagnosticReport refers to: left out")


def _warning(resource: Resource, text: str) -> Message:
    return Message("P21", "W", f"{resource.place} ({resource.type}): {text}", resource.row)


def _codings(concept: Any) -> list[Json]:  # noqa: ANN401 - any JSON
    return _dicts(_dict(concept).get("coding"))


def _dict(value: Any) -> Mapping[str, Any]:  # noqa: ANN401 - any JSON
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[Json]:  # noqa: ANN401 - any JSON
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return a text or a number of JSON as text; an empty text for any other value."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip()
