"""`lnscore engine build`: build a plan for the GPU of this machine, and keep it in the bundle."""

from pathlib import Path
from typing import Any, cast, get_args

from engines import plans, tensorrt_build
from engines.back_ends import Precision
from engines.bundle import Bundle
from engines.errors import EngineError
from engines.plans import PlanRecord
from engines.tensorrt_flavours import FLAVOURS, Flavour, key_here
from engines.tensorrt_run import how_to_build
from lnscore.scoring import engine_choice
from lnscore.settings import Settings
from lnscore.summary import Answer, ShownTable


def run(
    settings: Settings,
    name: str,
    backend: str,
    precision: str,
    max_batch: int,
    *,
    rebuild: bool = False,
) -> Answer:
    """Build a plan unless it exists already; the answer describes it.

    Args:
        settings: Settings with the folder of the engines.
        name: Name of an engine, or folder of a bundle.
        backend: Back end of the plan: `tensorrt` or `tensorrt-rtx`.
        precision: Precision of the plan: `fp32` or `fp16`.
        max_batch: Largest number of nodes that the plan scores at once.
        rebuild: Whether to build even if there is a plan. Without it, a plan that was altered
            is refused.

    Raises:
        EngineError: E11, E14 there is no such engine, back end or precision; E02, E40 to E42
            the plan cannot be built here; E30, E43, E44 it cannot be built; E36 to E38 the
            existing plan was altered; E39 the plan cannot be kept.
    """
    _known("back end", backend, tuple(FLAVOURS))
    _known("precision", precision, get_args(Precision))
    flavour, wanted = FLAVOURS[backend], cast(Precision, precision)
    bundle = engine_choice.choose(name, settings.engine_home).bundle
    models = bundle.manifest.models
    _known("precision", precision, tuple(models))
    key = key_here(flavour, wanted, max_batch, models[wanted].sha256)
    there = None if rebuild else plans.kept(bundle, key, how_to_build(bundle, flavour, wanted))
    record = there or _build(bundle, flavour, wanted, max_batch)
    file = bundle.plans / (record.key.stem + plans.PLAN)
    state = "built" if there is None else "there already"
    title = f"Plan of {bundle.name}, {state}"
    table = ShownTable(title, ["what", "value"], _facts(record, file))
    document = record.model_dump(mode="json") | {"path": str(file), "new": there is None}
    return Answer([table, f"Check it: lnscore engine verify {name} --backend {backend}"], document)


def _build(bundle: Bundle, flavour: Flavour, precision: Precision, max_batch: int) -> PlanRecord:
    record, plan = tensorrt_build.build(bundle, flavour, precision, max_batch)
    plans.keep(bundle, record, plan)
    return record


def _known(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise EngineError("E14", f"{what} '{name}'", f"one of {', '.join(known)}", "Choose one.")


def _facts(record: PlanRecord, file: Path) -> list[list[str]]:
    key, layers = record.key, record.layers
    half = tensorrt_build.half_share(layers)
    smallest, tuned, largest = tensorrt_build.sizes(key.max_batch)
    rows: dict[str, Any] = {
        "plan": file.name,
        "folder": file.parent,
        "size": f"{record.size_bytes / 1e6:.1f} MB",
        "built in": f"{record.build_s:.1f} s",
        "precision": f"{key.precision}; {half:.0%} of {sum(layers.values())} layers in half",
        "nodes a run": f"{smallest} to {largest}, tuned for {tuned}",
        "GPU": "none: build it again where it is to run" if key.gpu == "none" else key.gpu,
        "driver": f"CUDA {key.driver}" if key.driver != "none" else "none",
        "graph": f"{key.onnx_sha256[:16]}…",
        "built by": ", ".join(f"{name} {version}" for name, version in record.tools.items()),
    }
    return [[name, str(value)] for name, value in rows.items()]
