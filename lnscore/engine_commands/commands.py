"""`lnscore engine list`, `show`, `verify` and `import`: make their answers."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines import load, plans
from engines.bundle import Bundle
from engines.errors import EngineError
from engines.layer_compare import Layer
from engines.manifest import Manifest
from lnscore.engine_commands import importing
from lnscore.errors import EXIT_DONE, EXIT_ENGINE
from lnscore.scoring import engine_choice
from lnscore.scoring.engine_choice import GoldenCheck, ListedEngine
from lnscore.settings import Settings
from lnscore.summary import Answer, ShownTable

if TYPE_CHECKING:
    from lnscore.engine_commands.accuracy import AccuracyRow

SHOWN_METRICS = 6


def list_all(settings: Settings) -> Answer:
    """List every engine that is shipped or imported, with its problem if it has one."""
    rows = engine_choice.list_engines(settings.engine_home)
    columns = ["engine", "state", "made", "place", "plans", "problem"]
    table = ShownTable("Engines", columns, [_cells(row) for row in rows])
    return Answer([table], [_listed(row) for row in rows])


def show(settings: Settings, name: str) -> Answer:
    """Show the manifest of an engine, after checking every file of it.

    Raises:
        EngineError: E11 there is no such engine; E01, E03 to E08 it cannot be used.
    """
    bundle = engine_choice.choose(name, settings.engine_home).bundle
    table = ShownTable(f"Engine {bundle.name}", ["what", "value"], _facts(bundle))
    return Answer([table, bundle.manifest.research_use], bundle.manifest.model_dump(mode="json"))


def verify(settings: Settings, name: str, backend: str, *, held_out: bool = False) -> Answer:
    """Run the golden inputs on every back end, or on one, in every precision.

    Args:
        settings: Settings with the paths of the engines and the database.
        name: Name of an engine, or folder of a bundle.
        backend: Name of a back end, or `auto` for all of them.
        held_out: Whether to score also the nodes in the database that the engine was tested on.

    Returns:
        Tables of the results. The exit code is 0 if fp32 reproduces the golden outputs on a
        back end that can run here and nothing failed, otherwise 4.

    Raises:
        EngineError: E11 there is no such engine; E14 there is no such back end; E01, E03 to E08
            the engine cannot be used.
    """
    if backend not in (load.AUTO, *load.BACKENDS):
        raise EngineError(
            "E14",
            f"back end '{backend}'",
            f"one of {load.AUTO}, {', '.join(load.BACKENDS)}",
            "Choose one.",
        )
    rows = engine_choice.verify(name, settings.engine_home, backend)
    found = _on_held_out(settings, name, rows) if held_out else []
    outcomes = {row.outcome for row in (*rows, *found)}
    sound = "failed" not in outcomes and "passed" in outcomes
    document = {"golden": [asdict(row) for row in rows], "held_out": [asdict(row) for row in found]}
    tables = [*_golden_tables(name, rows), *_held_out_tables(name, found)]
    return Answer(tables, document, EXIT_DONE if sound else EXIT_ENGINE)


def _on_held_out(settings: Settings, name: str, rows: list[GoldenCheck]) -> "list[AccuracyRow]":
    from lnscore.engine_commands import accuracy

    return accuracy.verify(settings, name, rows)


def _held_out_tables(name: str, found: "list[AccuracyRow]") -> list[ShownTable]:
    if not found:
        return []
    columns = ["back end", "precision", "outcome", *found[0].COLUMNS, "why"]
    return [ShownTable(f"Held-out nodes of {name}", columns, [row.cells() for row in found])]


def _golden_tables(name: str, rows: list[GoldenCheck]) -> list[ShownTable]:
    columns = ["back end", "precision", "outcome", "largest", "mean", "swaps", "rank", "why"]
    tables = [ShownTable(f"Golden inputs of {name}", columns, [_checked(row) for row in rows])]
    for row in rows:
        if row.layers:
            columns = ["layer", "operator", "largest value", "error", "added"]
            title = f"Layers of {row.precision} that lose most accuracy (ONNX Runtime)"
            tables.append(ShownTable(title, columns, [_layer(layer) for layer in row.layers]))
    return tables


def _layer(layer: Layer) -> list[str]:
    share = [f"{layer.largest:.3g}", f"{layer.relative:.2%}", f"{layer.added:.2%}"]
    return [layer.name, layer.operator, *share]


def import_bundle(settings: Settings, bundle: Path, sha256: str | None) -> Answer:
    """Import an engine; the answer names its new folder.

    Raises:
        EngineError: The engine is refused, and nothing was copied.
    """
    done = importing.import_bundle(bundle, settings.engine_home, sha256)
    name, path = done.bundle.name, done.bundle.path
    lines = [f"engine {name} is there already: {path}"]
    if done.new:
        lines = [
            f"engine {name} imported to {path}",
            f"Score with it: lnscore score --pending --engine {name}",
        ]
    return Answer(lines, {"name": name, "path": str(path), "new": done.new})


def _listed(row: ListedEngine) -> dict[str, Any]:
    more = {"path": str(row.path), "caution": row.caution, "plans": _plans(row.path)}
    return asdict(row) | more


def _cells(row: ListedEngine) -> list[str]:
    made = row.created.date().isoformat() if row.created else ""
    place = f"{row.place}, default" if row.default else row.place
    state = _state(row.trained, row.phantom)
    return [row.name, state, made, place, ", ".join(_plans(row.path)), row.problem or ""]


def _plans(path: Path) -> list[str]:
    """Return the back end and precision of every plan; they may not fit this machine."""
    keys = [record.key for record in plans.records(path)]
    return sorted({f"{key.backend} {key.precision}" for key in keys})


def _state(trained: bool | None, phantom: bool) -> str:
    if trained is None:
        return "unusable"
    return "untrained" if not trained else "trained on phantoms" if phantom else "trained"


def _checked(row: GoldenCheck) -> list[str]:
    figures = row.figures
    numbers = ["", "", "", ""]
    if figures is not None:
        numbers = [f"{figures.largest:.1e}", f"{figures.mean:.1e}", str(figures.swaps)]
        numbers.append(f"{figures.rank:.4f}")
    why = "" if row.outcome == "passed" else row.reason
    return [row.backend, row.precision, row.outcome, *numbers, why]


def _facts(bundle: Bundle) -> list[list[str]]:
    manifest = bundle.manifest
    points = [
        f"{p.name}: at least {p.threshold:g}{_achieved(p.sensitivity, p.specificity)}"
        for p in manifest.operating_points
    ]
    shown = _shown_metrics(manifest)
    metrics = [f"{name} {_interval(manifest, name)}" for name in shown]
    if len(shown) < len(manifest.metrics):
        metrics.append(f"{len(manifest.metrics) - len(shown)} more with --json")
    card = manifest.card
    network = ", ".join(f"{name} {value}" for name, value in manifest.network.items())
    rows = {
        "state": manifest.caution or "trained",
        "made": manifest.created.isoformat(),
        "folder": str(bundle.path),
        "network": network,
        "weights": manifest.weights_sha256,
        "graphs": ", ".join(f"{p} (opset {m.opset})" for p, m in manifest.models.items()),
        "patches": f"specification {manifest.patch.hash}",
        "calibration": _calibration(manifest),
        "called positive": "; ".join(points) or "no operating point",
        "metrics": "; ".join(metrics) or "none",
        "cohort": "; ".join(f"{k}: {v}" for k, v in _flat(manifest.cohort or {})) or "none",
        "model card": "none" if card is None else str(bundle.path / card.file),
        "verified on a GPU": "yes" if manifest.verified_on_gpu else "no",
        "made again by": manifest.how_to_make_again,
    }
    return [[name, value] for name, value in rows.items()]


def _shown_metrics(manifest: Manifest) -> list[str]:
    """Return the names of all metrics, or only of the AUROCs if there are many metrics."""
    names = list(manifest.metrics)
    return names if len(names) <= SHOWN_METRICS else [n for n in names if n.endswith("auroc")]


def _flat(facts: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the entries; a nested entry has a name of the form `outer.inner`."""
    for key, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield before + key, value


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
