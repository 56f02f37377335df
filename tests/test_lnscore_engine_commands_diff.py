"""Nodes whose call flips between two engines, from what the database holds."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from engines.errors import EngineError
from fake_report import Engine, Hospital, Node
from lnscore.engine_commands import diff as job
from lnscore.errors import Refusal

POINTS = (("screening", 0.3), ("surgery", 0.7))
OLD, NEW = Engine("old", points=POINTS), Engine("new", points=POINTS)


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    return Hospital(tmp_path)


def both(hospital: Hospital, pairs: list[tuple[float, float]], name: str = "a") -> None:
    study = hospital.add_study(name, [Node(p, f"n{i}") for i, (p, _) in enumerate(pairs)], OLD)
    hospital.score(study, [q for _, q in pairs], NEW)


def diff(hospital: Hospital, first: str = "old", second: str = "new", **options):
    given = {"study": None, "out": None} | options
    return job.run(hospital.settings, first, second, **given)


def test_flips_are_counted_both_ways_at_every_operating_point(hospital: Hospital) -> None:
    both(hospital, [(0.1, 0.2), (0.2, 0.5), (0.4, 0.8), (0.9, 0.6), (0.35, 0.1)])
    found = diff(hospital)
    assert [(p.name, p.nodes, p.up, p.down) for p in found.points] == [
        ("screening", 5, 1, 1),
        ("surgery", 5, 1, 1),
    ]
    assert [line for line in found.lines() if isinstance(line, str)] == [
        "old to new: 5 nodes",
        "screening: 2 of 5 calls flip; 1 from negative to positive, 1 from positive to negative",
        "surgery: 2 of 5 calls flip; 1 from negative to positive, 1 from positive to negative",
    ]


def test_the_other_way_round_swaps_the_counts(hospital: Hospital) -> None:
    both(hospital, [(0.1, 0.5), (0.2, 0.6), (0.9, 0.1)])
    there, back = diff(hospital), diff(hospital, "new", "old")
    assert [(p.up, p.down) for p in there.points] == [(p.down, p.up) for p in back.points]


def test_a_flip_has_both_probabilities_station_and_axis_largest_change_first(
    hospital: Hospital,
) -> None:
    both(hospital, [(0.2, 0.4), (0.1, 0.6)])
    first, second = diff(hospital).flips
    assert (first.point, first.first, first.second) == ("screening", 0.1, 0.6)
    assert (second.first, second.second) == (0.2, 0.4)
    assert (first.first_call, first.second_call) == (0, 1)
    assert first.short_axis_mm is not None


def test_a_node_that_one_engine_has_not_scored_is_said_not_counted(hospital: Hospital) -> None:
    both(hospital, [(0.1, 0.5)])
    hospital.add_study("b", [Node(0.9), Node(0.8)], OLD)
    found = diff(hospital)
    assert (found.both, found.only_first, found.only_second) == (1, 2, 0)
    assert found.notes == ("2 nodes have no score by new: lnscore score --pending --engine new",)


def test_an_engine_without_a_score_is_refused_with_what_to_do(hospital: Hospital) -> None:
    hospital.add_study("a", [Node(0.9)], OLD)
    with pytest.raises(EngineError) as refusal:
        diff(hospital)
    assert str(refusal.value) == (
        "E22: no score by an engine 'new' in this database; wanted an engine that has scored: "
        "old. Score with it first: lnscore score --pending --engine new"
    )


def test_engines_without_a_common_operating_point_are_said_so(hospital: Hospital) -> None:
    study = hospital.add_study("a", [Node(0.9)], OLD)
    hospital.score(study, [0.1], Engine("demo", points=(("p50", 0.5),)))
    found = diff(hospital, second="demo")
    assert (found.both, found.points, found.flips) == (1, (), ())
    assert found.notes == (
        "no operating point in common (old: screening, surgery; demo: p50), so no call can be "
        "compared",
    )


def test_one_engine_twice_and_an_unknown_study_are_refused(hospital: Hospital) -> None:
    both(hospital, [(0.1, 0.5)])
    with pytest.raises(Refusal, match=r"^U05: 'old' twice"):
        diff(hospital, second="old")
    with pytest.raises(Refusal, match=r"^U04: no study 9\.9"):
        diff(hospital, study="9.9")


def test_only_the_study_that_is_asked_for_is_compared(hospital: Hospital) -> None:
    both(hospital, [(0.1, 0.5)], "a")
    both(hospital, [(0.1, 0.5), (0.2, 0.6)], "b")
    uid = diff(hospital).flips[0].study_uid
    assert {one.study_uid for one in diff(hospital, study=uid).flips} == {uid}


def test_the_table_is_safe_in_a_spreadsheet(hospital: Hospital, tmp_path: Path) -> None:
    evil = Engine("=cmd()", points=POINTS)
    study = hospital.add_study("a", [Node(0.1)], OLD)
    hospital.score(study, [0.5], evil)
    diff(hospital, second="=cmd()", out=tmp_path / "flips.csv")
    with (tmp_path / "flips.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["second_engine"] == "'=cmd()"
    assert (row["operating_point"], row["first_call"], row["second_call"]) == (
        "screening",
        "0",
        "1",
    )
    assert (row["first_probability"], row["second_probability"]) == ("0.1", "0.5")


def test_the_document_for_machines_holds_every_flip(hospital: Hospital) -> None:
    both(hospital, [(0.1, 0.5)])
    found = json.loads(json.dumps(diff(hospital).as_dict()))
    assert [one["point"] for one in found["flips"]] == ["screening"]
    assert found["points"][0] == {"name": "screening", "nodes": 1, "up": 1, "down": 0}


def test_two_engines_of_one_name_are_told_apart_by_their_keys(hospital: Hospital) -> None:
    study = hospital.add_study("a", [Node(0.1)], OLD)
    hospital.score(study, [0.5], NEW)
    other = replace(NEW.record(), precision="fp16")
    hospital.score(
        study, [0.6], type("Other", (), {"record": lambda self: other, **vars_of(NEW)})()
    )
    with pytest.raises(EngineError, match=r"^E22: 2 engines named 'new' have scored") as refusal:
        diff(hospital)
    key = refusal.value.wanted.split(": ")[1].split()[0]
    assert diff(hospital, second=key).second == "new"


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        ({"backend": "openvino"}, ("new (onnx fp32)", "new (openvino fp32)")),
        ({"precision": "fp16"}, ("new (onnx fp32)", "new (onnx fp16)")),
        ({"config_hash": "0" * 16}, None),
    ],
)
def test_two_engines_of_one_name_have_columns_of_their_own(
    hospital: Hospital, other: dict[str, str], shown: tuple[str, str] | None
) -> None:
    changed = replace(NEW.record(), **other)
    study = hospital.add_study("a", [Node(0.1), Node(0.2)], NEW)
    rival = type("Other", (), {"record": lambda self: changed, **vars_of(NEW)})()
    hospital.score(study, [0.6, None], rival)
    with pytest.raises(EngineError) as refusal:
        diff(hospital, "new", "new")
    keys = [
        part.split()[0]
        for part in refusal.value.wanted.removeprefix("the key of one: ").split(", ")
    ]
    found = diff(hospital, keys[0], keys[1], out=hospital.root / "flips.csv")
    assert (found.first, found.second) == (shown or tuple(f"new ({key})" for key in keys))
    with (hospital.root / "flips.csv").open(encoding="utf-8-sig", newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["first_engine"], row["second_engine"]) == (found.first, found.second)
    kind = f"--backend {changed.backend} --precision {changed.precision}"
    assert found.notes == (
        f"1 nodes have no score by {found.second}: lnscore score --pending --engine new {kind}",
    )


def vars_of(engine: Engine) -> dict:
    return {"points": engine.points, "calibrated": engine.calibrated}
