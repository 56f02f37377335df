"""`make bench`: speed and memory of ingest and scoring beside their peers, as ratios.

All contestants of a table run in turn, so that a busy machine is busy for all of them; the
figures are medians. `--write` keeps the tables in docs/performance.md.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Measured, in_turn, machine, run_process
from db.session import open_database

NOTES = "## Notes\n"
"""From here on the page is written by hand and kept."""

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def main() -> None:
    """Run the benchmarks that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=["ingest", "score"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--folder", type=Path, default=Path("bench-out"))
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    tables = []
    if args.only != "score":
        tables.append(ingest_table(args.folder / "studies", args.studies, args.runs))
    if args.only != "ingest":
        tables.append(score_table(args.folder, args.nodes, args.runs))
    text = f"# Performance\n\nMachine: {machine()}.\n\n" + "\n".join(tables)
    sys.stdout.write(text)
    if args.write:
        kept = PAGE.read_text().partition(NOTES)[2] if PAGE.exists() else ""
        PAGE.write_text(text + (f"\n{NOTES}{kept}" if kept else ""))


def ingest_table(folder: Path, studies: int, runs: int) -> str:
    """Files to nodes in the database: lnscore beside the usual way and beside only reading."""
    _make(folder, studies)
    results = in_turn(
        {
            "read": lambda watch: _peer("read", folder, watch),
            "usual": lambda watch: _peer("usual", folder, watch),
            "one": lambda watch: _ingest(folder, 1, watch),
            "two": lambda watch: _ingest(folder, 2, watch),
        },
        runs,
    )
    read, usual, one, two = (results[name] for name in ("read", "usual", "one", "two"))
    rows = [
        _row("only reading the files with pydicom", read, studies, "studies"),
        _row("the usual way (SimpleITK: read, resample, crop)", usual, studies, "studies"),
        _row("`lnscore ingest --jobs 1`", one, studies, "studies"),
        _row("`lnscore ingest --jobs 2`", two, studies, "studies"),
    ]
    ratios = [
        ("the usual way / lnscore, one job", usual.median_s / one.median_s, "at least 2"),
        ("lnscore, one job / only reading", one.median_s / read.median_s, "at most 2"),
        ("lnscore, one job / two jobs", one.median_s / two.median_s, "at least 1.6"),
        ("largest process of lnscore, MB", max(one.peak, two.peak), "at most 600"),
    ]
    title = f"Ingest of {studies} studies of 91×512×512 with 10 nodes each, {runs} runs"
    return _table(title, rows, ratios)


def score_table(folder: Path, nodes: int, runs: int) -> str:
    """Stored patches to scores in the database, beside the bare session and torch."""
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


def _make(folder: Path, count: int) -> None:
    run_process([sys.executable, "-m", "benchmarks.contestants", "make", str(folder), str(count)])


def _peer(name: str, folder: Path, watch: bool) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.contestants", name, str(folder)]
    return run_process(command, watch=watch)


def _ingest(folder: Path, jobs: int, watch: bool) -> tuple[float, float]:
    """Into a database that exists and is empty; making it is not timed."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        database = str(Path(scratch, "bench.db"))
        open_database(database, create=True).close()
        command = ["-m", "lnscore", "ingest", str(folder), "--db", database, "--jobs", str(jobs)]
        return run_process([sys.executable, *command], watch=watch)


def _score(place: Path, watch: bool) -> tuple[float, float]:
    """Every node anew: the scores of the run before are taken out first."""
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
