"""Measure every back end that can run here at batches of 1 to 512 nodes.

`python -m benchmarks.backends one NAME PRECISION FOLDER BATCH...` measures one back end in its own
process and prints JSON; `measure` runs all of them in turn. `auto_shares` compares the back end
that `auto` takes with the best one.
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
"""Also measured: the same network with random weights in eager torch, as in training."""

SECONDS = 1.0
"""Shortest time to measure one batch size, in seconds; at least three calls are made."""

AUTO_SHARE = 0.95


@dataclass(frozen=True)
class Row:
    """Nodes per second of one back end and precision, by batch size."""

    backend: str
    precision: str
    rates: dict[int, float]
    note: str = ""


def measure(bundle: Bundle, rows: Sequence[tuple[str, str]], batches: Sequence[int], rounds: int):  # noqa: ANN201
    """Measure every (back end, precision) in turn, `rounds` times; keep the best rates."""
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
    """Measure the nodes per second of one back end; whole calls with cropping and transfers."""
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
    score(patches)  # the runtime chooses kernels at the first run of a size
    times, started_s = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - started_s < SECONDS:
        before_s = time.perf_counter()
        score(patches)
        times.append(time.perf_counter() - before_s)
    return min(times)


def torch_scorer(
    bundle: Bundle, name: str, precision: str
) -> tuple[Callable[[np.ndarray], object], str]:
    """Make a scorer that runs the bundle's network in eager torch with random weights.

    A bundle holds no weights for torch; random weights need the same time.

    Returns:
        The scorer, and a note with its largest difference from float32 on the CPU.
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
    return score, f"torch {torch.__version__} on {where}, random weights, differs by {off:.1e}"


def available(bundle: Bundle) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Return what can be measured here, and why the rest cannot."""
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
    """Return the table of nodes per second in Markdown, one line for each back end."""
    lines = [f"| Back end | precision | {' | '.join(map(str, batches))} |"]
    lines.append("|-|-|" + "-|" * len(batches))
    for row in rows:
        cells = [f"{row.rates[size]:,.0f}" if size in row.rates else "-" for size in batches]
        lines.append(f"| {row.backend} | {row.precision} | {' | '.join(cells)} |")
    return lines


def auto_shares(bundle: Bundle, rows: Sequence[Row], batches: Sequence[int]) -> list[str]:
    """Compare the back end that `auto` takes in fp32 with the best one at every batch size."""
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
