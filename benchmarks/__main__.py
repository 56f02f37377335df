"""`make bench`: compare speed and memory of lnscore with other ways to do the same.

All contestants of a table run in turn, so that other load on the machine affects all of them. The
figures are medians. `--write` writes the tables to docs/performance.md.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.data import INPUT_NODES, SCORED_NODES, SSL_STEPS, STEPS, write_registry
from benchmarks.measure import Measured, in_turn, machine, run_process
from db.session import open_database

NOTES = "## Notes\n"
"""Heading of the part of the page that is written by hand and kept."""

ON_ONE_CORE = ("taskset", "--cpu-list", "0")
"""Command prefix that allows one core only.

Without it, one job uses a second core, because it reads and stores at the same time.
"""

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def main() -> None:
    """Run the benchmarks that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=["ingest", "score", "train", "ssl", "pathology"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--cohort", type=int, default=9960)
    parser.add_argument("--folder", type=Path, default=Path("bench-out"))
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    tables = []
    if args.only in (None, "ingest"):
        tables.append(ingest_table(args.folder / "studies", args.studies, args.runs))
    if args.only in (None, "score"):
        tables.append(score_table(args.folder, args.nodes, args.runs))
    if args.only in (None, "pathology"):
        tables.append(pathology_table(args.folder, args.rows, args.runs))
    if args.only in (None, "train"):
        tables.append(training_table(args.folder, args.cohort, args.runs))
    if args.only in (None, "ssl"):
        tables.append(semi_table(args.folder, args.runs))
    text = (
        "# Performance\n\n"
        "This page shows how fast lnscore is and how much memory it needs, compared with other "
        "ways to do the same\nwork. It is for everybody who plans a machine for lnscore, or who "
        "changes code that must stay fast. `make bench`\nmeasures everything again. Terms are "
        "explained in "
        f"[words.md](words.md).\n\nMachine: {machine()}.\n\n"
    ) + "\n".join(tables)
    sys.stdout.write(text)
    if args.write:
        kept = PAGE.read_text().partition(NOTES)[2] if PAGE.exists() else ""
        PAGE.write_text(text + (f"\n{NOTES}{kept}" if kept else ""))


def ingest_table(folder: Path, studies: int, runs: int) -> str:
    """Compare `lnscore ingest` with the usual way and with only reading the files."""
    _make(folder, studies)
    results = in_turn(
        {
            "read": lambda watch: _peer("read", folder, watch),
            "usual": lambda watch: _peer("usual", folder, watch),
            "one": lambda watch: _ingest(folder, 1, watch),
            "core": lambda watch: _ingest(folder, 1, watch, ON_ONE_CORE),
            "two": lambda watch: _ingest(folder, 2, watch),
        },
        runs,
    )
    names = ("read", "usual", "one", "core", "two")
    read, usual, one, core, two = (results[name] for name in names)
    rows = [
        _row("only reading the files with pydicom", read, studies, "studies"),
        _row("the usual way (SimpleITK: read, resample, crop)", usual, studies, "studies"),
        _row("`lnscore ingest --jobs 1`", one, studies, "studies"),
        _row("the same, held to one core", core, studies, "studies"),
        _row("`lnscore ingest --jobs 2`", two, studies, "studies"),
    ]
    ratios = [
        ("the usual way / lnscore, one job", usual.median_s / one.median_s, "at least 2"),
        ("lnscore, one job / only reading", one.median_s / read.median_s, "at most 2"),
        ("lnscore, one job / two jobs", one.median_s / two.median_s, "at least 1.6"),
        ("lnscore, one job on one core / two jobs", core.median_s / two.median_s, "(no target)"),
        ("largest process of lnscore, MB", max(one.peak, two.peak), "at most 600"),
    ]
    title = f"Ingest of {studies} studies of 91×512×512 with 10 nodes each, {runs} runs"
    return _table(title, rows, ratios)


def score_table(folder: Path, nodes: int, runs: int) -> str:
    """Compare `lnscore score` with a bare ONNX Runtime session and with torch."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        place = Path(scratch)
        _make(place / "scores.db", nodes)
        results = in_turn(
            {
                "bare": lambda watch: _peer("bare", place, watch),
                "torch": lambda watch: _peer("torch", place, watch),
                "score": lambda watch: _score(place, watch),
            },
            runs,
        )
    bare, eager, ours = (results[name] for name in ("bare", "torch", "score"))
    rows = [
        _row("bare ONNX Runtime session, crops in memory, best batch", bare, nodes, "nodes"),
        _row("torch eager, crops in memory, best batch", eager, nodes, "nodes"),
        _row("`lnscore score --pending`, patch store to database", ours, nodes, "nodes"),
    ]
    ratios = [
        ("lnscore / bare session, throughput", bare.median_s / ours.median_s, "at least 0.90"),
        ("lnscore / torch eager, throughput", eager.median_s / ours.median_s, "at least 2"),
    ]
    title = f"Score of {nodes} stored nodes by the shipped engine, {runs} runs"
    return _table(title, rows, ratios)


def pathology_table(folder: Path, rows: int, runs: int) -> str:
    """Time the import of a registry's table of pathology, in one transaction."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        file = Path(scratch, "registry.csv")
        write_registry(file, rows)
        found = in_turn({"import": partial(_import, file)}, runs)["import"]
    ratios = [("largest process, MB", found.peak, "at most 500")]
    title = f"Pathology of {rows:,} rows, {runs} runs"
    return _table(title, [_row("`lnscore pathology import`", found, rows, "rows")], ratios)


def _import(file: Path, watch: bool) -> tuple[float, float]:
    """Import the file into a new database."""
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        database = str(Path(scratch, "bench.db"))
        open_database(database, create=True).close()
        words = ["-P", "-m", "lnscore", "pathology", "import", str(file), "--allow-pending"]
        return run_process([sys.executable, *words, "--db", database], watch=watch)


def training_table(folder: Path, nodes: int, runs: int) -> str:
    """Compare training steps and input path with their peers; time the start of training."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        place = Path(scratch)
        _make(place / "train.db", nodes)
        names = ("bare-step", "our-step", "our-input", "usual-input", "ready")
        once = {name: partial(_peer, name, place, module="training") for name in names}
        results = in_turn(once, runs)
        patches_mb = (
            sum(f.stat().st_size for f in (place / "train.db.patches").rglob("*.npy")) / 2**20
        )
    bare, step, ours, usual, ready = (results[name] for name in names)
    rows = [
        _row("forward, backward, optimiser on a fixed batch", bare, STEPS, "steps"),
        _row("the same in the loop of `lnscore train`", step, STEPS, "steps"),
        _row("input path: one batched warp", ours, INPUT_NODES, "nodes"),
        _row("input path: MONAI, a sample at a time, two workers", usual, INPUT_NODES, "nodes"),
        _row(f"ready to train on {nodes} nodes", ready, nodes, "nodes"),
    ]
    ratios = [
        ("step / bare step", step.median_s / bare.median_s, "at most 1.15"),
        ("usual input path / lnscore's", usual.median_s / ours.median_s, "at least 5"),
        ("ready to train, s", ready.median_s, "at most 30"),
        ("peak less patches, MB", ready.peak - patches_mb, "at most 2048"),
    ]
    title = f"Training: Small two-stream network, batch 32, {runs} runs"
    return _table(title, rows, ratios)


def semi_table(folder: Path, runs: int) -> str:
    """Compare a semi-supervised step with its parts, and the teacher's refresh with an engine."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        place = Path(scratch)
        _make(place / "train.db", SCORED_NODES)
        names = ("parts", "our-step", "refresh", "engine")
        once = {name: partial(_peer, name, place, module="semi") for name in names}
        results = in_turn(once, runs)
    parts, step, refresh, engine = (results[name] for name in names)
    rows = [
        _row("student on 128, teacher on 112, moving average", parts, SSL_STEPS, "steps"),
        _row("the same in the loop of `lnscore train --stage ssl`", step, SSL_STEPS, "steps"),
        _row("the teacher's refresh of unlabelled nodes", refresh, SCORED_NODES, "nodes"),
        _row("the engine on as many nodes", engine, SCORED_NODES, "nodes"),
    ]
    ratios = [
        ("step / its parts", step.median_s / parts.median_s, "at most 1.15"),
        ("refresh / engine, nodes a second", engine.median_s / refresh.median_s, "at least 0.9"),
    ]
    title = f"Semi-supervised stage: Small two-stream network, 16 + 112 nodes, {runs} runs"
    return _table(title, rows, ratios)


def _make(folder: Path, count: int) -> None:
    run_process([sys.executable, "-m", "benchmarks.contestants", "make", str(folder), str(count)])


def _peer(name: str, folder: Path, watch: bool, module: str = "contestants") -> tuple[float, float]:
    command = [sys.executable, "-m", f"benchmarks.{module}", name, str(folder)]
    return run_process(command, watch=watch)


def _ingest(folder: Path, jobs: int, watch: bool, how: Sequence[str] = ()) -> tuple[float, float]:
    """Ingest into a new, empty database; making the database is not timed."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        database = str(Path(scratch, "bench.db"))
        open_database(database, create=True).close()
        command = [
            "-P",
            "-m",
            "lnscore",
            "ingest",
            str(folder),
            "--db",
            database,
            "--jobs",
            str(jobs),
        ]
        return run_process([*how, sys.executable, *command], watch=watch)


def _score(place: Path, watch: bool) -> tuple[float, float]:
    """Score every node; the scores of the last run are deleted first."""
    import sqlite3

    connection = sqlite3.connect(place / "scores.db")
    with connection:
        connection.execute("DELETE FROM score")
        connection.execute("UPDATE series SET status = 'ready'")
    connection.close()
    return _peer("score", place, watch)


def _row(name: str, measured: Measured, count: int, unit: str) -> str:
    rate = count / measured.median_s
    return (
        f"| {name} | {measured.median_s:.2f} | {min(measured.wall_s):.2f}–"
        f"{max(measured.wall_s):.2f} | {rate:.1f} {unit}/s | {measured.peak:.0f} |"
    )


def _table(title: str, rows: list[str], ratios: list[tuple[str, float, str]]) -> str:
    lines = [
        f"## {title}",
        "",
        "| What | median s | range s | rate | peak MB |",
        "|-|-|-|-|-|",
        *rows,
        "",
        "| Ratio | Measured | Wanted |",
        "|-|-|-|",
        *(f"| {name} | {value:.2f} | {wanted} |" for name, value, wanted in ratios),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
