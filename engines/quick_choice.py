"""Measure once whether OpenVINO is faster than ONNX Runtime on this machine.

The result is stored in a file, because the database keeps the scores of each back end separately:
if the choice changed from night to night, every node would be scored again.
"""

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import platformdirs

from engines import onnx_engine, openvino_engine, parity
from engines.back_ends import Precision
from engines.bundle import Bundle
from engines.errors import EngineError
from engines.protocol import installed
from ground import whole_files

ROUNDS = 5
GAIN_MIN = 1.05
"""Factor by which OpenVINO must be faster in every round.

On a busy machine, chance must not decide.
"""


def against_openvino(bundle: Bundle, precision: Precision, threads: int | None) -> str | None:
    """Return why OpenVINO is not taken, or None if it is faster.

    Args:
        bundle: The bundle.
        precision: Precision of its graph.
        threads: Number of CPU threads; by default all CPUs that this process may use.
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
    """Measure the time of both back ends in turn.

    Returns:
        `openvino_ms` and `onnx_ms`: median milliseconds per node; `wins`: number of rounds in
        which OpenVINO was faster by `GAIN_MIN`. If OpenVINO cannot be used, only `off`: the reason.
    """
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
    """Time several functions in turn; the first round is not counted.

    Returns:
        For each function, the milliseconds per node in every round.
    """
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
    """Return the stored measurement for this graph, these versions and this machine, or None."""
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
    """Store a measurement; if the file cannot be written, the next run measures again."""
    file = _file(bundle, precision, threads)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        whole_files.put(file, json.dumps(known).encode())
    except OSError:
        return


def cache_folder() -> Path:
    """Return the cache folder: LNSCORE_CACHE or `~/.cache/lnscore`; it may be deleted."""
    named = os.environ.get("LNSCORE_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("lnscore", appauthor=False)


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
