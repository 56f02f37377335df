"""Is OpenVINO faster than ONNX Runtime here? Measured once and remembered.

Remembered, because each back end's scores are kept as another engine's: a choice that changed
from night to night would score every node again.
"""

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from engines import load, onnx_engine, parity
from engines.bundle import Bundle
from engines.errors import EngineError
from engines.protocol import Precision, installed

ROUNDS = 3
GAIN_MIN = 1.05
"""Below, a difference is noise, and the back end that everybody has is kept."""


def against_openvino(bundle: Bundle, precision: Precision, threads: int | None) -> str | None:
    """Why OpenVINO is not taken, or None where it is faster.

    Args:
        bundle: The bundle.
        precision: Which of its graphs.
        threads: CPU threads; as many as this process may use by default.
    """
    known = remembered(bundle, precision, threads)
    if known is None:
        known = measure(bundle, precision, threads)
        remember(bundle, precision, threads, known)
    if "off" in known:
        return str(known["off"])
    ours, theirs = known["openvino_ms"], known["onnx_ms"]
    if float(ours) * GAIN_MIN <= float(theirs):
        return None
    return f"{ours} ms a node here, onnx {theirs}"


def measure(bundle: Bundle, precision: Precision, threads: int | None) -> dict[str, float | str]:
    """Milliseconds a node of both, in turn, the best of a few rounds; or why it fails its gate."""
    try:
        engine = load.load(bundle, "openvino", precision, threads)
        parity.gate(bundle, engine)
        onnx = load.load(bundle, "onnx", precision, threads)
        golden = bundle.golden().patches
        patches = golden[np.arange(onnx.batch_nodes) % len(golden)]
        both = [lambda: engine.score(patches), lambda: onnx.score(patches)]
        best = best_ms(both, len(patches))
    except EngineError as error:
        return {"off": f"{error.code}, {error.found}"}
    return {"openvino_ms": best[0], "onnx_ms": best[1]}


def best_ms(runs: Sequence[Callable[[], object]], nodes: int) -> list[float]:
    """Best milliseconds a node of each, measured in turn after one round that is not counted."""
    best = [float("inf")] * len(runs)
    for turn in range(ROUNDS + 1):
        for place, run in enumerate(runs):
            started_s = time.perf_counter()
            run()
            spent_ms = (time.perf_counter() - started_s) * 1000 / nodes
            if turn:
                best[place] = min(best[place], spent_ms)
    return [round(value, 3) for value in best]


def remembered(
    bundle: Bundle, precision: Precision, threads: int | None
) -> dict[str, float | str] | None:
    """What was measured before for this graph, these versions and this machine."""
    try:
        known = json.loads(_file(bundle, precision, threads).read_text())
    except (OSError, ValueError):
        return None
    whole = isinstance(known, dict) and ("off" in known or {"openvino_ms", "onnx_ms"} <= set(known))
    return known if whole else None


def remember(
    bundle: Bundle, precision: Precision, threads: int | None, known: dict[str, float | str]
) -> None:
    """Keep a measurement; where nothing can be written, it is made again next time."""
    file = _file(bundle, precision, threads)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        made = file.with_suffix(f".{os.getpid()}")
        made.write_text(json.dumps(known))
        os.replace(made, file)
    except OSError:
        return


def cache_folder() -> Path:
    """LNSCORE_CACHE, or `~/.cache/lnscore`: what is lost with it is measured again."""
    named = os.environ.get("LNSCORE_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "lnscore"


def _file(bundle: Bundle, precision: Precision, threads: int | None) -> Path:
    key = [
        bundle.manifest.models[precision].sha256,
        installed(("openvino",)),
        installed(onnx_engine.DISTRIBUTIONS),
        platform.node(),
        threads or onnx_engine.cpu_threads(),
    ]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    return cache_folder() / f"openvino-{digest}.json"
