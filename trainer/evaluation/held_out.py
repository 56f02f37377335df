"""The nodes that an engine was tested on: named by a hash, found again in the database.

A manifest holds no UID of a patient's node, only the hash of them all: the split in the
database says whose nodes they are. No torch here: promotion runs where nothing is trained.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from engines.errors import EngineError


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Where held-out nodes are, and which they must be.

    Attributes:
        split: Name of the split in the database.
        fold: Whose test part they are.
        reader: Whose labels.
        nodes: How many.
        positives: Malignant ones.
        sha256: See `digest`.
    """

    split: str
    fold: Annotated[int, Field(ge=0)]
    reader: str
    nodes: int
    positives: int
    sha256: str

    def as_dict(self) -> dict[str, Any]:
        """As the manifest's cohort holds it."""
        return asdict(self)


def digest(nodes: Iterable[tuple[str, int]]) -> str:
    """SHA-256 over (tracking UID, label 0 or 1) of every node, in any order."""
    lines = sorted(f"{uid} {label}" for uid, label in nodes)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def of_cohort(cohort: dict[str, Any] | None) -> HeldOut | None:
    """What a manifest's cohort says of it; None where it says nothing.

    Raises:
        EngineError: E04 a member is missing, or of another type.
    """
    stated = (cohort or {}).get("held_out")
    if stated is None:
        return None
    try:
        return TypeAdapter(HeldOut).validate_json(json.dumps(stated), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(["cohort", "held_out", *map(str, first["loc"])])
        fix = "Export or import the engine again."
        raise EngineError("E04", f"manifest.json: {where}", first["msg"], fix) from error
