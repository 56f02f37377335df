"""FHIR R4B bundles and NDJSON: findings by station, and P21 with the entry for the rest."""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnscore.errors import Refusal
from lnscore.pathology.checking import check
from lnscore.pathology.fhir import read_fhir
from lnscore.pathology.rows import CanonicalRow, SourceRow
from lnscore.tables.messages import Message

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
JES = "http://example.org/fhir/CodeSystem/jes11"


def observation(name: str, code: tuple[str, str], site: str, count: int, **other: Any) -> dict:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": code[0], "code": code[1]}]},
        "bodySite": {"coding": [{"system": JES, "code": site}]},
        "valueInteger": count,
    } | other


def report(*results: str, **other: Any) -> dict:
    return {
        "resourceType": "DiagnosticReport",
        "id": "r1",
        "identifier": [{"system": "urn:lab", "value": "S26-77"}],
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "60568-3"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-01-31T08:30:00+01:00",
        "issued": "2026-02-03T10:00:00Z",
        "result": [{"reference": f"Observation/{name}"} for name in results],
    } | other


PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "urn:hosp", "value": "K17"}],
    "name": [{"family": "Doe"}],
}
OBSERVATIONS = [
    observation("o1", (LOINC, "21894-1"), "106recR", 5),
    observation("o2", (LOINC, "21893-3"), "106recR", 2),
    observation("o3", (SNOMED, "444025001"), "107", 3),
    observation("o4", (SNOMED, "443527007"), "107", 0),
]
RESOURCES = [PATIENT, report("o1", "o2", "o3", "o4"), *OBSERVATIONS]


def bundle(resources: list[dict]) -> dict:
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": one} for one in resources],
    }


def read(tmp_path: Path, content: Any) -> list:
    path = tmp_path / "bundle.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return list(read_fhir(path))


def with_resources(**changes: dict) -> dict:
    """The bundle with some resources changed, by their id."""
    changed = [copy.deepcopy(one) | changes.get(one["id"], {}) for one in RESOURCES]
    return bundle(changed)


def sentences(found: list) -> list[str]:
    return [one.sentence for one in found if isinstance(one, Message)]


def counts(found: list) -> list[tuple[str, str, str]]:
    rows = [one for one in found if isinstance(one, SourceRow)]
    return [
        tuple(row.values.get(n, "") for n in ("station", "n_examined", "n_positive"))
        for row in rows
    ]


BOTH = [("106recR", "5", "2"), ("107", "3", "0")]


def test_a_bundle_is_one_row_a_station(tmp_path):
    first, second = read(tmp_path, bundle(RESOURCES))
    assert first.values == {
        "patient_key": "K17", "report_id": "S26-77", "report_date": "2026-02-03",
        "surgery_date": "2026-01-31", "station_system": "JES11", "station": "106recR",
        "n_examined": "5", "n_positive": "2",
    }  # fmt: skip
    assert (first.row, first.column, first.columns["n_positive"]) == (3, "", "entry 4")
    assert (second.row, second.column, second.columns["n_positive"]) == (5, "", "entry 6")


def test_the_rows_pass_the_checks_of_a_table(tmp_path):
    first, second = check(read(tmp_path, bundle(RESOURCES)))
    assert isinstance(first, CanonicalRow)
    assert isinstance(second, CanonicalRow)
    assert (first.status, second.status) == ("positive", "negative")


def test_ndjson_of_bundles_gives_lines_and_entries(tmp_path):
    other = with_resources(r1={"identifier": [{"value": "S26-78"}]})
    lines = "\n".join(json.dumps(one) for one in (bundle(RESOURCES), other))
    found = read(tmp_path, lines.encode())
    assert counts(found) == BOTH * 2
    assert [row.row for row in found] == [1, 1, 2, 2]
    assert [row.column for row in found[2:]] == [
        "line 2 entry 4 | line 2 entry 3",
        "line 2 entry 6 | line 2 entry 5",
    ]


def test_ndjson_of_single_resources_is_one_pool(tmp_path):
    found = read(tmp_path, "\n".join(json.dumps(one) for one in RESOURCES).encode())
    assert counts(found) == BOTH


def test_references_by_full_url_and_to_contained_resources_are_followed(tmp_path):
    inside = report(contained=[{**one, "id": f"c{one['id']}"} for one in OBSERVATIONS[2:]])
    inside["result"] = [
        {"reference": "urn:uuid:1"}, {"reference": "urn:uuid:2"},
        {"reference": "#co3"}, {"reference": "#co4"},
    ]  # fmt: skip
    whole = bundle([PATIENT, inside, *OBSERVATIONS[:2]])
    whole["entry"][2]["fullUrl"], whole["entry"][3]["fullUrl"] = "urn:uuid:1", "urn:uuid:2"
    found = read(tmp_path, whole)
    assert counts(found) == BOTH
    assert found[1].column == "entry 2 #co4 | entry 2 #co3"


def test_members_and_components_are_counted(tmp_path):
    panel = {
        "resourceType": "Observation", "id": "panel", "status": "final", "code": {"text": "nodes"},
        "hasMember": [{"reference": "Observation/both"}],
    }  # fmt: skip
    both = {
        "resourceType": "Observation", "id": "both", "status": "final", "code": {"text": "7"},
        "bodySite": {"coding": [{"system": JES, "code": "107"}]},
        "component": [
            {"code": {"coding": [{"system": LOINC, "code": "21894-1"}]},
             "valueQuantity": {"value": 3}},
            {"code": {"coding": [{"system": LOINC, "code": "21893-3"}]}, "valueInteger": 1},
        ],
    }  # fmt: skip
    found = read(tmp_path, bundle([PATIENT, report("panel"), panel, both]))
    assert counts(found) == [("107", "3", "1")]


def test_a_subject_s_identifier_needs_no_patient_resource(tmp_path):
    subject = {"identifier": {"system": "urn:hosp", "value": "K18"}}
    found = read(tmp_path, bundle([report("o1", subject=subject), OBSERVATIONS[0]]))
    assert [row.values["patient_key"] for row in found] == ["K18"]


@pytest.mark.parametrize(
    "more",
    [
        {"use": "old", "value": "K1"},
        {"value": "N1", "type": {"coding": [{"code": "NI"}]}},
    ],
)
def test_of_several_ids_an_old_one_and_one_of_another_type_are_passed_over(tmp_path, more):
    first = {"value": "K17", "type": {"coding": [{"code": "MR"}]}}
    found = read(tmp_path, with_resources(p1={"identifier": [more, first]}))
    assert {row.values["patient_key"] for row in found} == {"K17"}


def test_the_specimen_s_day_goes_before_the_report_s(tmp_path):
    specimen = {
        "resourceType": "Specimen", "id": "s1",
        "collection": {"collectedPeriod": {"start": "2026-01-30"}},
    }  # fmt: skip
    linked = report("o1", specimen=[{"reference": "Specimen/s1"}])
    (row,) = read(tmp_path, bundle([PATIENT, linked, specimen, OBSERVATIONS[0]]))
    assert row.values["surgery_date"] == "2026-01-30"


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ({"coding": [{"system": SNOMED, "code": "28330007"}]}, ("SCT", "28330007")),
        ({"coding": [{"system": f"{SNOMED}/900000000000207008", "code": "1"}]}, ("SCT", "1")),
        ({"coding": [{"system": SNOMED, "code": "1"}, {"system": JES, "code": "108"}]},
         ("JES11", "108")),
        ({"coding": [{"system": "urn:x:y", "code": "107"}]}, ("urn:x:y", "107")),
        ({"text": "station 7"}, ("", "station 7")),
    ],
)  # fmt: skip
def test_the_station_is_the_body_site_s_code_with_its_system(tmp_path, site, expected):
    changed = with_resources(o1={"bodySite": site}, o2={"bodySite": site})
    first = read(tmp_path, changed)[0]
    assert (first.values["station_system"], first.values["station"]) == expected


def test_interpretation_and_absence_become_the_status(tmp_path):
    concept = {"coding": [{"code": "POS"}]}
    absent = {"coding": [{"code": "not-performed"}]}
    changed = with_resources(
        o2={"interpretation": [concept]}, o3={"valueInteger": None, "dataAbsentReason": absent}
    )
    assert [row.values["status"] for row in read(tmp_path, changed)] == ["positive", "not_sampled"]


def test_a_comparator_stays_for_the_checks_to_see(tmp_path):
    quantity = {"value": 5, "comparator": ">"}
    changed = with_resources(o1={"valueInteger": None, "valueQuantity": quantity})
    assert counts(read(tmp_path, changed))[0] == ("106recR", ">5", "2")


def test_what_is_not_final_or_of_no_station_or_of_no_report_is_left_out_and_told(tmp_path):
    resources = with_resources(o1={"status": "preliminary"}, o2={"bodySite": None})
    resources["entry"].append({"resource": observation("o9", (LOINC, "21894-1"), "108", 1)})
    found = read(tmp_path, resources)
    assert counts(found) == [("107", "3", "0")]
    assert sentences(found) == [
        "P21: row 3: entry 3 (Observation): status 'preliminary' is not final: left out",
        "P21: row 4: entry 4 (Observation): a count without a bodySite belongs to no station: "
        "left out",
        "P21: row 7: entry 7 (Observation): a count that no DiagnosticReport refers to: left out",
    ]
    assert {one.severity for one in found if isinstance(one, Message)} == {"W"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"r1": {"result": [{"reference": "Observation/no"}]}},
         "row 2: entry 2 (DiagnosticReport): result 'Observation/no' is not in the file"),
        ({"r1": {"subject": None}},
         "row 2: entry 2 (DiagnosticReport): no subject with an identifier"),
        ({"p1": {"identifier": []}}, "row 1: entry 1 (Patient): no identifier"),
        ({"p1": {"identifier": [{"system": "a", "value": "1"}, {"system": "b", "value": "2"}]}},
         "row 1: entry 1 (Patient): 2 times identifier ('a', 'b'); wanted one, or one official"),
        ({"o2": {"code": {"coding": [{"system": LOINC, "code": "21894-1"}]}}},
         "row 4: entry 4 (Observation): n_examined '2' after '5' for the same station"),
        ({"o1": {"bodySite": {"coding": [{"system": JES, "code": c} for c in ("107", "108")]}}},
         "row 3: entry 3 (Observation): bodySite has several codes of 'JES11'; wanted one station"),
        ({"o1": {"hasMember": [{"reference": "Observation/o1"}]}},
         "row 3: entry 3 (Observation): members of members, 8 levels deep"),
        ({"o1": {"valueInteger": "x"}},
         "row 3: entry 3 (Observation): 'valueInteger' is not as FHIR R4B wants it"),
        ({"o1": {"station": "7"}}, "row 3: entry 3 (Observation): 'station' is not of FHIR R4B"),
        ({"o1": {"resourceType": 7}}, "row 3: entry 3 has no resourceType"),
        ({"r1": {"contained": [{"resourceType": "Nope"}]}},
         "row 2: entry 2 (DiagnosticReport) is not as FHIR R4B wants it"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_p21_with_the_entry(tmp_path, changes, said):
    assert sentences(read(tmp_path, with_resources(**changes)))[0] == f"P21: {said}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "P21: line 1 is no JSON"),
        (b"[1]", "P21: the file is no JSON object"),
        (b"[" * 100_000, "P21: the file is nested too deeply"),
        (b'{"resourceType": "Bundle", "entry": 1}', "P21: entry of the bundle is no list"),
        (b'{"resourceType": "Bundle", "entry": [1]}', "P21: row 1: entry 1 has no resource"),
        (b'{"resourceType": "Bundle"}', "P21: no DiagnosticReport in the file"),
        (b'{"a": 1}\n{"resourceType"', "P21: row 1: line 1 has no resourceType"),
    ],
)
def test_a_file_that_is_no_bundle_is_p21(tmp_path, content, said):
    found = read(tmp_path, content)
    assert sentences(found)[0] == said


def test_a_file_in_another_encoding_is_refused(tmp_path):
    with pytest.raises(Refusal, match=r"P21: bundle\.json is not UTF-8"):
        read(tmp_path, '{"a": "ö"}'.encode("latin-1"))


def test_no_message_names_a_patient(tmp_path):
    changed = with_resources(p1={"name": [{"family": ["Doe"]}]})
    said = " ".join(sentences(read(tmp_path, changed)))
    assert said.startswith("P21: row 1: entry 1 (Patient): ")
    assert "Doe" not in said
    assert "K17" not in said


def test_a_missing_library_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fhir.resources.R4B.diagnosticreport", None)
    with pytest.raises(Refusal, match=r"P21: .*fhir\.resources, which is not inst.*\[records\]"):
        read(tmp_path, bundle(RESOURCES))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["coding", "code", "system", "value", "reference", "status", "identifier"]
            )
            | st.text(max_size=4),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
KEYS = sorted({key for one in RESOURCES for key in one} | {"component", "hasMember", "specimen"})


def read_or_refused(folder: Path, content: bytes) -> list:
    try:
        return read(folder, content)
    except Refusal as refusal:
        return [Message(refusal.code, "E", refusal.found)]


def usable(found: list) -> bool:
    return all(isinstance(one, SourceRow | Message) for one in found)


@settings(deadline=None)
@given(st.integers(0, 5), st.sampled_from(KEYS), JSON)
def test_no_mangled_resource_raises(tmp_path_factory, number, key, value):
    resources = copy.deepcopy(RESOURCES)
    resources[number][key] = value
    assert usable(read(tmp_path_factory.getbasetemp(), bundle(resources)))


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 2000))
def test_no_bytes_raise_anything_but_a_refusal(tmp_path_factory, put, place):
    whole = json.dumps(bundle(RESOURCES)).encode()
    for content in (put, whole[:place] + put + whole[place:], whole[:place]):
        assert usable(read_or_refused(tmp_path_factory.getbasetemp(), content))


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["105", "106recR", "107", "4R"]),
        st.tuples(st.integers(0, 99), st.integers(0, 99)),
        min_size=1,
    )
)
def test_what_is_written_reads_back(tmp_path_factory, stations):
    written = [
        observation(f"{name}{i}", (LOINC, code), site, numbers[i])
        for site, numbers in stations.items()
        for i, (name, code) in enumerate((("e", "21894-1"), ("p", "21893-3")))
    ]
    for number, one in enumerate(written):
        one["id"] = f"n{number}"
    names = [one["id"] for one in written]
    found = read(tmp_path_factory.getbasetemp(), bundle([PATIENT, report(*names), *written]))
    assert counts(found) == [(site, str(a), str(b)) for site, (a, b) in stations.items()]
