"""A copy of the demonstration bundle with a real plan of TensorRT-RTX in it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demo_bundle import copy_demo
from engines import bundle as bundles
from engines import plans, tensorrt_flavours
from engines.bundle import Bundle
from engines.plans import PlanRecord
from engines.tensorrt_build import build
from engines.tensorrt_flavours import RTX

NEEDS_RTX = pytest.mark.skipif(
    not tensorrt_flavours.can_build(RTX), reason="tensorrt-rtx is not installed"
)


def with_plan(folder: Path, max_batch: int = 8) -> tuple[Bundle, PlanRecord]:
    bundle = bundles.read(copy_demo(folder))
    record, data = build(bundle, RTX, "fp32", max_batch)
    plans.keep(bundle, record, data)
    return bundle, record


def files(bundle: Bundle) -> tuple[Path, Path]:
    """The only plan and its record."""
    (plan,) = bundle.plans.glob("*.plan")
    return plan, plan.with_suffix(".json")


def state_otherwise(bundle: Bundle, **key: Any) -> None:
    """Let the record state another key, and rename both files to it."""
    plan, file = files(bundle)
    record = PlanRecord.model_validate_json(file.read_bytes())
    other = record.model_copy(update={"key": replace(record.key, **key)})
    file.unlink()
    plan.rename(plan.with_name(other.key.stem + ".plan"))
    file.with_name(other.key.stem + ".json").write_text(other.model_dump_json())
