"""What `lnscore engine` prints: tables for people, one JSON document for a machine."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from engines import load
from engines.bundle import Bundle
from engines.errors import EngineError
from engines.manifest import Manifest
from lnscore import console, engine_jobs
from lnscore.engine_jobs import Checked, Listed
from lnscore.errors import EXIT_DONE, EXIT_ENGINE
from lnscore.settings import Settings

STATE = {True: "trained", False: "untrained", None: "unusable"}


def list_all(settings: Settings, *, as_json: bool = False) -> None:
    """Print every engine that is shipped or imported, and what is wrong with it."""
    rows = engine_jobs.list_engines(settings.engine_home)
    if as_json:
        console.print_json([_listed(row) for row in rows])
        return
    columns = ["engine", "state", "made", "place", "problem"]
    console.print_table("Engines", columns, [_cells(row) for row in rows])


def show(settings: Settings, name: str, *, as_json: bool = False) -> None:
    """Print what an engine states, after checking every file of it.

    Raises:
        EngineError: E11 no such engine; E01 to E07 it cannot be used.
    """
    bundle = engine_jobs.choose(name, settings.engine_home).bundle
    if as_json:
        console.print_json(bundle.manifest.model_dump(mode="json"))
        return
    console.print_table(f"Engine {bundle.name}", ["what", "value"], _facts(bundle))
    console.say(bundle.manifest.research_use)


def verify(settings: Settings, name: str, backend: str, *, as_json: bool = False) -> int:
    """Run the golden inputs on every back end, or on one, in every precision.

    Returns:
        0 where fp32 reproduces the golden outputs on some back end that can run here and
        nothing failed; 4 otherwise.

    Raises:
        EngineError: E11 no such engine, E14 no such back end, E01 to E07 it cannot be used.
    """
    if backend not in (load.AUTO, *load.BACKENDS):
        raise EngineError(
            "E14",
            f"back end '{backend}'",
            f"one of {load.AUTO}, {', '.join(load.BACKENDS)}",
            "Choose one.",
        )
    rows = [
        row
        for row in engine_jobs.verify(name, settings.engine_home)
        if backend in (load.AUTO, row.backend)
    ]
    outcomes = {row.outcome for row in rows}
    sound = "failed" not in outcomes and "passed" in outcomes
    if as_json:
        console.print_json([asdict(row) for row in rows])
    else:
        columns = ["back end", "precision", "outcome", "largest", "mean", "swaps", "why"]
        console.print_table(f"Golden inputs of {name}", columns, [_checked(row) for row in rows])
    return EXIT_DONE if sound else EXIT_ENGINE


def import_bundle(
    settings: Settings, bundle: Path, sha256: str | None, *, as_json: bool = False
) -> None:
    """Import an engine and say where it is now.

    Raises:
        EngineError: It is refused; nothing was copied.
    """
    done = engine_jobs.import_bundle(bundle, settings.engine_home, sha256)
    name, path = done.bundle.name, done.bundle.path
    if as_json:
        console.print_json({"name": name, "path": str(path), "new": done.new})
    elif done.new:
        console.say(f"engine {name} imported to {path}")
        console.say(f"Score with it: lnscore score --pending --engine {name}")
    else:
        console.say(f"engine {name} is there already: {path}")


def _listed(row: Listed) -> dict[str, Any]:
    return asdict(row) | {"path": str(row.path)}


def _cells(row: Listed) -> list[str]:
    made = row.created.date().isoformat() if row.created else ""
    return [row.name, STATE[row.trained], made, row.place, row.problem or ""]


def _checked(row: Checked) -> list[str]:
    figures = row.figures
    numbers = ["", "", ""]
    if figures is not None:
        numbers = [f"{figures.largest:.1e}", f"{figures.mean:.1e}", str(figures.swaps)]
    why = "" if row.outcome == "passed" else row.reason
    return [row.backend, row.precision, row.outcome, *numbers, why]


def _facts(bundle: Bundle) -> list[list[str]]:
    manifest = bundle.manifest
    points = [
        f"{p.name}: at least {p.threshold:g}{_achieved(p.sensitivity, p.specificity)}"
        for p in manifest.operating_points
    ]
    metrics = [f"{name} {_interval(manifest, name)}" for name in manifest.metrics]
    network = ", ".join(f"{name} {value}" for name, value in manifest.network.items())
    rows = {
        "state": STATE[manifest.trained],
        "made": manifest.created.isoformat(),
        "folder": str(bundle.path),
        "network": network,
        "weights": manifest.weights_sha256,
        "graphs": ", ".join(f"{p} (opset {m.opset})" for p, m in manifest.models.items()),
        "patches": f"specification {manifest.patch.hash}",
        "calibration": _calibration(manifest),
        "called positive": "; ".join(points) or "no operating point",
        "metrics": "; ".join(metrics) or "none",
        "cohort": "; ".join(f"{k}: {v}" for k, v in (manifest.cohort or {}).items()) or "none",
        "verified on a GPU": "yes" if manifest.verified_on_gpu else "no",
        "made again by": manifest.how_to_make_again,
    }
    return [[name, value] for name, value in rows.items()]


def _achieved(sensitivity: float | None, specificity: float | None) -> str:
    if sensitivity is None or specificity is None:
        return ""
    return f" (sensitivity {sensitivity:.3f}, specificity {specificity:.3f})"


def _calibration(manifest: Manifest) -> str:
    calibration = manifest.calibration
    if calibration is None:
        return "none: probabilities are raw"
    return f"temperature {calibration.temperature:g}, bias {calibration.bias:g}"


def _interval(manifest: Manifest, name: str) -> str:
    metric = manifest.metrics[name]
    if metric.low is None or metric.high is None:
        return f"{metric.value:.4f}"
    return f"{metric.value:.4f} ({metric.low:.4f} to {metric.high:.4f})"
