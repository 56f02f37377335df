"""Test nodes of an engine, identified by a hash and found again in the database.

A manifest holds no UID of a patient's node, only one hash of all test nodes; the split in the
database names their patients. This module does not import torch: engines are promoted on
machines on which nothing is trained.
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
    """The held-out nodes: where they are in the database, and the hash that identifies them.

    Attributes:
        split: Name of the split in the database.
        fold: Fold whose test part they are.
        reader: Name of the reader of the labels.
        nodes: Number of nodes.
        positives: Number of malignant nodes.
        sha256: Hash of the nodes and labels, see `digest`.
    """

    split: str
    fold: Annotated[int, Field(ge=0)]
    reader: str
    nodes: int
    positives: int
    sha256: str

    def as_dict(self) -> dict[str, Any]:
        """Return the form that the manifest's cohort holds."""
        return asdict(self)


def digest(nodes: Iterable[tuple[str, int]]) -> str:
    """Return a SHA-256 over (tracking UID, label 0 or 1) of all nodes, in any order."""
    lines = sorted(f"{uid} {label}" for uid, label in nodes)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def of_cohort(cohort: dict[str, Any] | None) -> HeldOut | None:
    """Read the held-out nodes from a manifest's cohort; None if it has none.

    Raises:
        EngineError: E04 a member is missing, or has another type.
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
