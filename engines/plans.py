"""Store and find plans: they lie in `plans/` of their bundle, each with a record beside it.

Loading a plan runs code. Therefore a plan is built on the machine that runs it and is never
shipped, imported or replaced by hand. The record is written last: a plan without a record is not
complete. The record is not part of the bundle's manifest, because the maker of the engine
publishes the hash of the manifest, and it must not change.
"""

import hashlib
import sys
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from engines.bundle import PLANS, Bundle
from engines.errors import EngineError
from engines.manifest import Sha256
from engines.plan_key import PlanKey, check_fits
from ground import whole_files

PLAN, RECORD = ".plan", ".json"
MAX_RECORD_BYTES = 1 << 16
NONE_YET = "E31"
"""Error code for a bundle without a plan; the bundle is sound, and a plan can be built."""


class PlanRecord(BaseModel):
    """The record of a plan: its key, its hash and how it was built.

    Attributes:
        key: Everything that the plan depends on.
        sha256: SHA-256 of the plan file.
        size_bytes: Size of the plan file.
        built: Time when it was built.
        build_s: Duration of the build, in seconds.
        layers: Number of layers of the network, by the type of their output.
        tools: Versions of the software that built it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: PlanKey
    sha256: str = Sha256
    size_bytes: int
    built: datetime
    build_s: float
    layers: dict[str, int]
    tools: dict[str, str]


def keep(bundle: Bundle, record: PlanRecord, data: bytes) -> Path:
    """Write a plan and then its record.

    Returns:
        Path of the plan file.

    Raises:
        EngineError: E39 the folder cannot be written.
    """
    file = bundle.plans / (record.key.stem + PLAN)
    text = record.model_dump_json(indent=2) + "\n"
    try:
        bundle.plans.mkdir(exist_ok=True)
        file.with_suffix(RECORD).unlink(missing_ok=True)  # record of the plan that is replaced
        whole_files.put(file, data)
        whole_files.put(file.with_suffix(RECORD), text.encode())
    except OSError as error:
        raise EngineError(
            "E39",
            f"'{bundle.plans}' cannot be written ({error.strerror})",
            "a folder to keep plans in",
            "Copy the bundle to a folder of your own and name that folder.",
        ) from error
    return file


def records(bundle: Path) -> list[PlanRecord]:
    """Return every readable record of a bundle's folder, newest first, without checking plans."""
    found = []
    for file in sorted((bundle / PLANS).glob(f"*{RECORD}")):
        try:
            found.append(_record(file, ""))
        except EngineError:
            continue  # `find` and `kept` raise an error if this plan is needed
    return sorted(found, key=lambda record: record.built, reverse=True)


def kept(bundle: Bundle, key: PlanKey, fix: str) -> PlanRecord | None:
    """Return the checked record of the plan with exactly this key; None if there is no record.

    Raises:
        EngineError: E36 to E38 the plan or its record is not what was built.
    """
    file = bundle.plans / (key.stem + RECORD)
    if not file.is_file():
        return None
    record = _record(file, fix)
    _plan_bytes(file.with_suffix(PLAN), record, fix)
    return record


def find(bundle: Bundle, here: PlanKey, fix: str) -> tuple[PlanRecord, bytes]:
    """Find the plan that fits this machine, and check that it is what was built.

    If several plans fit, the one for the largest batch is taken.

    Args:
        bundle: The bundle.
        here: The key of this machine; its `max_batch` is ignored.
        fix: What the user can do, for the message of an error.

    Returns:
        The record and the plan's bytes.

    Raises:
        EngineError: E31 there is no plan; E32 to E35 there are only plans for another version,
            GPU, driver or graph; E36 the plan was renamed; E37 it was altered; E38 its record
            cannot be read.
    """
    start = f"{here.backend}-"
    files = [f for f in bundle.plans.glob(f"{start}*{RECORD}") if _of(f, here)]
    if not files:
        raise EngineError(
            NONE_YET,
            f"engine '{bundle.name}' has no {here.precision} plan of {here.backend}",
            "one that was built on this machine",
            fix,
        )
    kept = [(file, _record(file, fix)) for file in files]
    fits = [(file, record) for file, record in kept if _same_machine(record.key, here)]
    if not fits:
        newest = max((record for _, record in kept), key=lambda record: record.built)
        check_fits(newest.key, here, fix)
    file, record = max(fits, key=lambda pair: pair[1].key.max_batch)
    return record, _plan_bytes(file.with_suffix(PLAN), record, fix)


def _of(file: Path, here: PlanKey) -> bool:
    """Return whether a record's name shows this back end and precision.

    The name `tensorrt-rtx` begins with `tensorrt-`; therefore a digit must follow.
    """
    rest = file.stem.removeprefix(f"{here.backend}-")
    return rest[:1].isdigit() and f"-{here.precision}-" in rest


def _same_machine(plan: PlanKey, here: PlanKey) -> bool:
    try:
        check_fits(plan, here, "")
    except EngineError:
        return False
    return True


def _record(file: Path, fix: str) -> PlanRecord:
    """Read a record and check that its file name fits its key."""

    def damaged(found: str) -> EngineError:
        return EngineError("E38", f"record '{file.name}': {found}", "the record of a plan", fix)

    if file.stat().st_size > MAX_RECORD_BYTES:
        raise damaged("too large")
    try:
        record = PlanRecord.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise damaged(first["msg"]) from error
    if record.key.stem != file.stem:
        raise EngineError(
            "E36", f"plan '{file.stem}'", f"'{record.key.stem}', the name in its record", fix
        )
    return record


def _plan_bytes(file: Path, record: PlanRecord, fix: str) -> bytes:
    if not file.is_file():
        raise EngineError("E37", f"no '{file.name}'", "the plan that its record describes", fix)
    if sys.platform != "win32" and file.stat().st_mode & 0o002:
        raise EngineError(
            "E37", f"'{file.name}', which every account can write", "a plan that only you can", fix
        )
    data = file.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != record.sha256:
        found = f"'{file.name}' of {len(data)} bytes with SHA-256 {sha256[:16]}…"
        raise EngineError(
            "E37", found, f"{record.size_bytes} bytes with {record.sha256[:16]}…", fix
        )
    return data
