"""Every back end that can run here, at batches of 1 to 512 nodes, and what `auto` makes of it.

`python -m benchmarks.backends one NAME PRECISION FOLDER BATCH...` measures one of them in a
process of its own and prints JSON; `table` runs all in turn.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines import bundle as bundles
from engines import load
from engines.bundle import Bundle

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
TORCH = ("torch", "torch-cuda")
"""Beside the back ends: the same network with drawn weights, eager, as the trainer runs it."""

SECONDS = 1.0
"""For one batch size of one process, at least; three calls at least."""

AUTO_SHARE = 0.95


@dataclass(frozen=True)
class Row:
    """One back end and precision: nodes per second at every size of batch."""

    backend: str
    precision: str
    rates: dict[int, float]
    note: str = ""


def measure(bundle: Bundle, rows: Sequence[tuple[str, str]], batches: Sequence[int], rounds: int):  # noqa: ANN201
    """Rates of every (back end, precision), the best of `rounds` processes each, in turn."""
    best: dict[tuple[str, str], Row] = {}
    for _ in range(rounds):
        for backend, precision in rows:
            given = _process(bundle.path, backend, precision, batches)
            rates = {int(size): rate for size, rate in given["rates"].items()}
            old = best.get((backend, precision))
            if old is not None:
                rates = {size: max(rate, old.rates.get(size, 0)) for size, rate in rates.items()}
            best[backend, precision] = Row(backend, precision, rates, given["note"])
    return list(best.values())


def _process(folder: Path, backend: str, precision: str, batches: Sequence[int]) -> dict:
    command = [sys.executable, "-m", "benchmarks.backends", "one", backend, precision, str(folder)]
    done = subprocess.run([*command, *map(str, batches)], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"rates": {}, "note": f"failed: {last}"}
    return json.loads(done.stdout.splitlines()[-1])


def one(backend: str, precision: str, folder: Path, batches: Sequence[int]) -> dict:
    """Nodes per second of one back end, whole calls: crops, transfers and all."""
    bundle = bundles.read(folder)
    if backend in TORCH:
        score, note = torch_scorer(bundle, backend, precision)
    else:
        engine = load.load(bundle, backend, precision)  # pyright: ignore[reportArgumentType]
        score, note = engine.score, engine.reason
    golden = bundle.golden().patches
    patches = golden[np.arange(max(batches)) % len(golden)]
    rates = {}
    for size in batches:
        rates[size] = round(size / _best_s(score, patches[:size]), 1)
    return {"rates": rates, "note": note}


def _best_s(score: Callable[[np.ndarray], object], patches: np.ndarray) -> float:
    score(patches)  # kernels are chosen at the first run of a size
    times, started_s = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - started_s < SECONDS:
        before_s = time.perf_counter()
        score(patches)
        times.append(time.perf_counter() - before_s)
    return min(times)


def torch_scorer(
    bundle: Bundle, name: str, precision: str
) -> tuple[Callable[[np.ndarray], object], str]:
    """The bundle's network with drawn weights, eager; and its distance from float32 on the CPU.

    A bundle holds no weights for torch: time and precision are those of the network.
    """
    import torch

    from engines.patch import crop
    from trainer.bundle.demo import untrained
    from trainer.export.graph import ExportedGraph, halved, torch_scores
    from trainer.networks.registry import parse

    golden = bundle.golden().patches
    network = untrained(parse(bundle.manifest.network), golden, 0)
    expected = torch_scores(network, golden).fused
    device = torch.device("cuda" if name == "torch-cuda" else "cpu")
    model = ExportedGraph(halved(network) if precision == "fp16" else network).eval().to(device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False

    def score(patches: np.ndarray) -> np.ndarray:
        hu = torch.from_numpy(np.ascontiguousarray(crop(patches))).to(device).float()
        with torch.inference_mode():
            return model(hu)["fused"].cpu().numpy()

    off = float(np.abs(score(golden) - expected).max())
    where = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    return score, f"torch {torch.__version__} on {where}, drawn weights, off by {off:.1e}"


def available(bundle: Bundle) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """What can be measured here, and why the rest cannot."""
    rows, left_out = [], {}
    for backend, state in load.availability().items():
        if state:
            rows += [(backend, precision) for precision in bundle.manifest.models]
        else:
            left_out[backend] = state.reason
    try:
        import torch
    except ImportError:
        left_out |= dict.fromkeys(TORCH, "torch is not installed")
        return rows, left_out
    rows.append(("torch", "fp32"))
    if torch.cuda.is_available():
        rows += [("torch-cuda", "fp32"), ("torch-cuda", "fp16")]
    else:
        left_out["torch-cuda"] = "torch sees no GPU"
    return rows, left_out


def table(rows: Sequence[Row], batches: Sequence[int]) -> list[str]:
    """Nodes per second, one line for each back end, in Markdown."""
    lines = [f"| Back end | precision | {' | '.join(map(str, batches))} |"]
    lines.append("|-|-|" + "-|" * len(batches))
    for row in rows:
        cells = [f"{row.rates[size]:,.0f}" if size in row.rates else "-" for size in batches]
        lines.append(f"| {row.backend} | {row.precision} | {' | '.join(cells)} |")
    return lines


def auto_shares(bundle: Bundle, rows: Sequence[Row], batches: Sequence[int]) -> list[str]:
    """What `auto` takes in fp32, and its share of the best back end at every size of batch."""
    engine = load.load(bundle)
    backends = [r for r in rows if r.precision == "fp32" and r.backend not in TORCH and r.rates]
    taken = next((row for row in backends if row.backend == engine.backend), None)
    if taken is None:
        return [f"`auto` takes {engine.reason}; it was not measured."]
    shares = {
        size: taken.rates[size] / max(row.rates.get(size, 0) for row in backends)
        for size in batches
    }
    cells = ", ".join(f"{size}: {share:.2f}" for size, share in shares.items())
    lowest = min(shares.values())
    verdict = "holds" if lowest >= AUTO_SHARE else "does not hold"
    return [
        f"`auto` takes: {engine.reason}.",
        "",
        f"Share of the best fp32 back end, by size of batch: {cells}. Wanted: at least "
        f"{AUTO_SHARE:g} everywhere, which {verdict} in this run.",
    ]


if __name__ == "__main__":
    _, name, wanted, place, *given = sys.argv[1:]
    found = one(name, wanted, Path(place), [int(size) for size in given])
    sys.stdout.write(json.dumps(found) + "\n")
