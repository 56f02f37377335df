"""The published schema of study.json."""

import json
from pathlib import Path

import jsonschema
import pytest

import lnscore
from lnscore.report import facts

PUBLISHED = Path(lnscore.__file__).parent / "data" / "study.schema.json"


def test_the_published_schema_is_the_models_own() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == facts.schema_text()


def test_the_published_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(PUBLISHED.read_text()))


@pytest.mark.parametrize("name", ["study_uid", "nodes", "notice"])
def test_the_schema_refuses_a_study_without(name: str) -> None:
    study = facts.StudyFacts(
        patient="p",
        study="s",
        study_uid="1.2",
        study_date=None,
        status="empty",
        engines=[],
        series=[],
        nodes=[],
        problems=[],
    )
    value = json.loads(facts.text(study))
    validator = jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text()))
    assert validator.is_valid(value)
    del value[name]
    assert not validator.is_valid(value)
