"""`make gpu`: build, verify and time every back end that can run here; write docs/gpu.md.

It also works without a GPU, and if only torch and ONNX Runtime are installed. The page lists what
was left out, and why.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import backends, paper
from benchmarks.measure import machine
from engines import bundle as bundles
from engines import cuda_driver, load, parity, plans, tensorrt_build
from engines.bundle import Bundle
from engines.cuda_driver import Driver
from engines.errors import EngineError
from engines.protocol import installed
from engines.tensorrt_flavours import FLAVOURS, can_build

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "gpu.md"
NAMED = ("onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt", "tensorrt-rtx", "torch")
NIGHT_NODES = 3000
"""Number of nodes that a hospital scores in one night (300 studies)."""


def main() -> None:
    """Run all parts; exit with code 4 if a back end that can run fails the parity gate."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=ROOT / "engines" / "bundles" / "demo")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=list(backends.BATCHES))
    parser.add_argument("--page", type=Path, default=PAGE, help="Where the page is written.")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lnscore-gpu-") as scratch:
        copied = Path(shutil.copytree(args.bundle, Path(scratch) / args.bundle.name))
        bundle = bundles.read(copied)
        built, verified = list(build(bundle)), list(verify(bundle))
        pairs, left_out = backends.available(bundle)
        rows = backends.measure(bundle, pairs, args.batches, args.rounds)
        lines = [
            *heading(bundle),
            *section("Built", ["plan", "outcome"], built),
            *section("Verified", ["back end", "precision", "outcome"], verified),
            *timed(bundle, rows, args.batches, args.rounds),
            *section("Left out", ["back end", "why"], [[k, v] for k, v in left_out.items()]),
            *on_paper(bundle),
        ]
    text = "\n".join(lines) + "\n"
    args.page.write_text(text)
    sys.stdout.write(text + f"\nwritten to {args.page}\n")
    sys.exit(4 if any(not row[2].startswith("passed") for row in verified) else 0)


def heading(bundle: Bundle) -> list[str]:
    """Return the heading of the page: engine, GPU, machine and installed packages."""
    driver = cuda_driver.probe()
    has_gpu = isinstance(driver, Driver)
    gpu = f"{driver.name}, CUDA {driver.version}" if has_gpu else f"none: {driver.reason}"
    versions = [f"{name} {version}" for name in NAMED if (version := installed((name,)))]
    state = [] if has_gpu else ["**Not run on a GPU.** Every figure measured here is a CPU's.", ""]
    return [
        "# On a GPU",
        "",
        "This page shows which back ends can run on one machine, whether they reproduce the golden "
        "outputs of an engine, and how many nodes a second they score. It is for everybody who "
        "plans a GPU server for lnscore. `make gpu` writes the page; run it on your machine to "
        "get its figures. Terms are explained in [words.md](words.md).",
        "",
        *state,
        f"- Engine: `{bundle.name}`; {datetime.now(UTC):%Y-%m-%d}.",
        f"- GPU: {gpu}.",
        f"- Machine: {machine()}; load {_load()}.",
        f"- Installed: {', '.join(versions)}.",
        "",
    ]


def _load() -> str:
    """Return the system load of the last minute; figures of a busy machine are not comparable."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def build(bundle: Bundle) -> Iterator[list[str]]:
    """Build every plan that can be built here, in the copied bundle; yield table rows."""
    for flavour in FLAVOURS.values():
        for precision in bundle.manifest.models:
            name, state = f"{flavour.backend} {precision}", can_build(flavour)
            if not state:
                yield [name, f"not built: {state.reason}"]
                continue
            try:
                record, plan = tensorrt_build.build(
                    bundle, flavour, precision, max(backends.BATCHES)
                )
                plans.keep(bundle, record, plan)
            except EngineError as error:
                yield [name, str(error)]
                continue
            half = tensorrt_build.half_share(record.layers)
            size, layers = record.size_bytes / 1e6, sum(record.layers.values())
            spent = f"{record.build_s:.1f} s, {size:.1f} MB"
            yield [name, f"{spent}, {layers} layers, {half:.0%} of the float ones in half"]


def verify(bundle: Bundle) -> Iterator[list[str]]:
    """Run the parity gate on every back end that can run here; yield table rows."""
    for backend, state in load.availability().items():
        for precision in bundle.manifest.models if state else ():
            try:
                engine = load.load(bundle, backend, precision)
                found = parity.gate(bundle, engine)
            except EngineError as error:
                yield [backend, precision, str(error)]
                continue
            off = f"largest {found.largest:.1e}, mean {found.mean:.1e}"
            yield [backend, precision, f"passed: {off}, rank {found.rank:.4f}"]


def timed(
    bundle: Bundle, rows: Sequence[backends.Row], batches: Sequence[int], rounds: int
) -> list[str]:
    """Return the section with the measured nodes per second, by batch size."""
    notes = [f"- {row.backend} {row.precision}: {row.note}" for row in rows]
    return [
        "## Nodes per second, by nodes in one call",
        "",
        f"Whole calls from HU patches in memory to probabilities, the best of {rounds} processes "
        "in turn. Runs have one size (8 or 16 nodes on a CPU, 64 in a plan), and smaller calls are "
        "filled up, so that a node's score does not depend on the other nodes.",
        "",
        *backends.table(rows, batches),
        "",
        *backends.auto_shares(bundle, rows, batches),
        "",
        *notes,
        "",
    ]


def on_paper(bundle: Bundle) -> list[str]:
    """Return the section with the speed that an H100 could reach, to compare measurements with."""
    lines = [
        "## On paper",
        "",
        "This table is computed, not measured: the shortest time that an H100 can need for one "
        "node. The arithmetic counts the products and sums of convolutions and matrices.",
        "The memory traffic counts each layer's inputs and outputs once, with pointwise layers "
        "fused. The link copies float32 HU over PCIe 5.0.",
        "The peaks of an H100 are 67 TFLOP/s in float32, 990 TFLOP/s in float16, 3.35 TB/s and "
        "50 GB/s.",
        "The floor is the largest of the three times, because they overlap.",
        "",
        "| Precision | MFLOP | MB moved | arithmetic µs | memory µs | link µs | floor µs "
        "| nodes/s at the floor | at a third of it | a night of 3,000 nodes |",
        "|-|-|-|-|-|-|-|-|-|-|",
    ]
    for precision in bundle.manifest.models:
        found = paper.of(bundle, precision)
        rate, parts = 1e6 / found.floor_us, [f"{part:.2f}" for part in found.parts_us]
        cells = [precision, f"{found.operations / 1e6:.0f}", f"{found.traffic_bytes / 1e6:.1f}"]
        cells += [*parts, f"{found.floor_us:.2f}", f"{rate:,.0f}", f"{rate / 3:,.0f}"]
        cells.append(f"{NIGHT_NODES / (rate / 3):.2f} s")
        lines.append(f"| {' | '.join(cells)} |")
    aim = "A good engine is expected to reach a third of the floor; the aim is 10,000 nodes/s."
    return [*lines, "", aim]


def section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a section with a heading and a table, in Markdown."""
    lines = [f"## {title}", "", f"| {' | '.join(columns)} |", "|-" * len(columns) + "|"]
    body = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return [*lines, *(body or ["| none |"]), ""]


if __name__ == "__main__":
    main()
