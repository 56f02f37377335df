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

from engines import onnx_engine, openvino_engine, parity
from engines.bundle import Bundle
from engines.errors import EngineError
from engines.manifest import Precision
from engines.protocol import installed
from ground import whole_files

ROUNDS = 5
GAIN_MIN = 1.05
"""To be faster by in every round: a busy machine must not choose by chance."""


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
    if known["wins"] == ROUNDS:
        return None
    said = f"{known['openvino_ms']} ms a node here, onnx {known['onnx_ms']}"
    return f"{said}, faster in {known['wins']} of {ROUNDS} rounds"


def measure(bundle: Bundle, precision: Precision, threads: int | None) -> dict[str, float | str]:
    """Milliseconds a node of both, medians of rounds in turn; or why it fails its gate."""
    try:
        engine = openvino_engine.load(bundle, precision, threads)
        parity.gate(bundle, engine)
        onnx = onnx_engine.load(bundle, precision, threads)
        golden = bundle.golden().patches
        patches = golden[np.arange(onnx.batch_nodes) % len(golden)]
        both = [lambda: engine.score(patches), lambda: onnx.score(patches)]
        ours, theirs = rounds_ms(both, len(patches))
    except EngineError as error:
        return {"off": f"{error.code}, {error.found}"}
    wins = sum(a * GAIN_MIN <= b for a, b in zip(ours, theirs, strict=True))
    medians = [round(float(np.median(values)), 3) for values in (ours, theirs)]
    return {"openvino_ms": medians[0], "onnx_ms": medians[1], "wins": wins}


def rounds_ms(runs: Sequence[Callable[[], object]], nodes: int) -> list[list[float]]:
    """Milliseconds a node of each in every round, in turn, after one that is not counted."""
    spent: list[list[float]] = [[] for _ in runs]
    for turn in range(ROUNDS + 1):
        for place, run in enumerate(runs):
            started_s = time.perf_counter()
            run()
            if turn:
                spent[place].append((time.perf_counter() - started_s) * 1000 / nodes)
    return spent


def remembered(
    bundle: Bundle, precision: Precision, threads: int | None
) -> dict[str, float | str] | None:
    """What was measured before for this graph, these versions and this machine."""
    try:
        known = json.loads(_file(bundle, precision, threads).read_text())
    except (OSError, ValueError):
        return None
    needed = {"openvino_ms", "onnx_ms", "wins"}
    whole = isinstance(known, dict) and ("off" in known or needed <= set(known))
    return known if whole else None


def remember(
    bundle: Bundle, precision: Precision, threads: int | None, known: dict[str, float | str]
) -> None:
    """Keep a measurement; where nothing can be written, it is made again next time."""
    file = _file(bundle, precision, threads)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        whole_files.put(file, json.dumps(known).encode())
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
