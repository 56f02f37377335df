"""The checks of `lnscore doctor` on the machine: Python, packages, processor, memory, limits."""

import importlib.util
import os
import platform
import re
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from lnscore import requirements

State = Literal["ok", "warn", "fail"]

PYTHON = (3, 11)
SQLITE = (3, 37, 0)
"""First version of SQLite that has STRICT tables."""

MEMORY_GB = 4.0
NAMED = ("numpy", "pydicom", "highdicom", "SimpleITK", "onnxruntime", "SQLAlchemy")
"""Packages whose versions a bug report should name."""


@dataclass(frozen=True)
class Check:
    """Result of one check.

    Attributes:
        name: Name of the thing that was checked.
        state: `ok`, `warn` if something should be corrected, or `fail` if it must be corrected.
        found: What was found.
        fix: What to do; empty if there is nothing to do.
    """

    name: str
    state: State
    found: str
    fix: str = ""


def check_machine() -> Iterator[Check]:
    """Check everything that needs neither a database nor an engine."""
    yield _python()
    yield _packages()
    yield _versions()
    yield _extras()
    yield _processor()
    yield _memory()
    yield _limits()
    yield _sqlite()


def _python() -> Check:
    found = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info >= PYTHON:
        return Check("python", "ok", found)
    return Check("python", "fail", found, "Use Python 3.11 or newer.")


def _packages() -> Check:
    try:
        missing = requirements.missing()
    except metadata.PackageNotFoundError:
        fix = "Install it: pip install --editable . (or make env)."
        return Check("packages", "warn", "lnscore runs from a folder, not installed", fix)
    if missing:
        listed = ", ".join(missing)
        return Check("packages", "fail", f"not installed: {listed}", "Install lnscore again.")
    return Check("packages", "ok", "everything that lnscore needs is installed")


def _versions() -> Check:
    versions = {name: requirements.installed(name) for name in NAMED}
    found = [f"{name} {version}" for name, version in versions.items() if version]
    return Check("versions", "ok", ", ".join(found))


def _extras() -> Check:
    try:
        extras = metadata.metadata("lnscore").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        extras = []
    absent = {extra: missing for extra in extras if (missing := requirements.missing(extra))}
    if not absent:
        return Check("extras", "ok", "all optional packages are installed")
    listed = "; ".join(f"{extra} ({', '.join(names)})" for extra, names in absent.items())
    fix = "Install one only if you need its feature: pip install 'lnscore[NAME]'."
    return Check("extras", "ok", f"optional, not installed: {listed}", fix)


def _processor() -> Check:
    affinity = getattr(os, "sched_getaffinity", None)  # only Linux has it
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    found, flags = f"{cores} processor cores for this process", cpu_flags()
    if flags is None:
        return Check("processor", "ok", found)
    fast = [flag for flag in ("avx2", "avx512f", "asimd") if flag in flags]
    if fast:
        return Check("processor", "ok", f"{found}, {', '.join(fast)}")
    fix = "Scoring is several times slower. A virtual machine must pass on the processor's flags."
    return Check("processor", "warn", f"{found}, neither AVX2 nor NEON", fix)


def cpu_flags(info: Path = Path("/proc/cpuinfo")) -> frozenset[str] | None:
    """Return the feature flags of the first processor; None if the system has no such file."""
    if not info.is_file():
        return None
    found = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", info.read_text(), re.MULTILINE)
    return frozenset(found.group(1).split()) if found else frozenset()


def _memory() -> Check:
    total_gb = memory_gb()
    if total_gb is None:
        return Check("memory", "ok", "this system does not state the size of its memory")
    found = f"{total_gb:.1f} GB of memory"
    if total_gb >= MEMORY_GB:
        return Check("memory", "ok", found)
    return Check("memory", "warn", found, "Keep --jobs at 1; at least 4 GB are recommended.")


def memory_gb() -> float | None:
    """Return the physical memory in GB; None if the system does not state it."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (AttributeError, ValueError, OSError):
        return None


def _limits() -> Check:
    if importlib.util.find_spec("resource") is not None:
        return Check("limits", "ok", "memory and time of the workers are limited")
    fix = "Read files of unknown origin only on a POSIX system, for example Linux."
    found = "this system has no resource limits: only the time of the workers is limited"
    return Check("limits", "warn", found, fix)


def _sqlite() -> Check:
    found = f"SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info >= SQLITE:
        return Check("sqlite", "ok", found)
    return Check("sqlite", "fail", found, "Use a Python with SQLite 3.37 or newer.")
