"""A plan is named by everything that invalidates it."""

from dataclasses import replace

import pytest

from engines.errors import EngineError
from engines.plan_key import PlanKey, check_fits

KEY = PlanKey(
    backend="tensorrt",
    version="11.0.1",
    driver="13.0",
    gpu="9.0",
    precision="fp16",
    max_batch=256,
    onnx_sha256="a" * 64,
)
OTHER = {
    "backend": "tensorrt-rtx",
    "version": "11.0.2",
    "driver": "13.1",
    "gpu": "8.9",
    "precision": "fp32",
    "max_batch": 128,
    "onnx_sha256": "b" * 64,
}


@pytest.mark.parametrize("field", list(OTHER))
def test_every_part_of_the_key_changes_the_name(field: str) -> None:
    assert replace(KEY, **{field: OTHER[field]}).stem != KEY.stem


def test_the_name_says_what_a_person_looks_for() -> None:
    assert KEY.stem.startswith("tensorrt-11.0.1-fp16-b256-")


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("version", "E32: a plan for version 11.0.2 of tensorrt; wanted version 11.0.1 of"),
        ("gpu", "E33: a plan for a GPU of compute capability 8.9; wanted a GPU of"),
        ("driver", "E34: a plan for a driver of CUDA 13.1; wanted a driver of CUDA 13.0"),
        ("onnx_sha256", "E35: a plan for the graph with SHA-256 bbbbbbbbbbbbbbbb…; wanted the"),
    ],
)
def test_a_plan_for_something_else_says_for_what(field: str, sentence: str) -> None:
    with pytest.raises(EngineError) as refusal:
        check_fits(replace(KEY, **{field: OTHER[field]}), KEY, "Build it.")
    assert str(refusal.value).startswith(sentence)
    assert refusal.value.fix == "Build it."


def test_a_plan_for_larger_batches_fits() -> None:
    check_fits(replace(KEY, max_batch=512), KEY, "")
