"""Read and write the default engine: a small file in the folder of the imported engines.

The default engine scores if the command line names no engine.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from engines.bundle import Bundle
from engines.errors import EngineError
from lnscore import output_files

FILE = "default.json"
FIX = "Promote an engine with `lnscore engine promote`, name one with --engine, or delete the file."


@dataclass(frozen=True)
class DefaultEngine:
    """Name and SHA-256 of the weights of the engine that was promoted."""

    name: str
    weights_sha256: str

    def matches(self, bundle: Bundle) -> bool:
        """Return whether a bundle is this engine."""
        manifest = bundle.manifest
        return (manifest.name, manifest.weights_sha256) == (self.name, self.weights_sha256)


def read(home: Path) -> DefaultEngine | None:
    """Return the engine that was promoted on this machine; None if none was.

    Raises:
        EngineError: E19 the file cannot be read, or its content is not valid.
    """
    file = home / FILE
    if not file.exists():
        return None
    try:
        return TypeAdapter(DefaultEngine).validate_json(file.read_bytes(), strict=True)
    except (OSError, ValidationError) as error:
        why = _first(error) if isinstance(error, ValidationError) else str(error)
        raise EngineError(
            "E19", f"{file} cannot be read ({why})", "a name and the SHA-256 of weights", FIX
        ) from error


def _first(error: ValidationError) -> str:
    """Return the first fault, with the member of the JSON that it concerns."""
    one = error.errors(include_url=False, include_context=False)[0]
    return ": ".join([*map(str, one["loc"]), one["msg"]])


def check(default: DefaultEngine, bundle: Bundle) -> None:
    """Refuse an engine that has the name of the default engine, but other weights.

    Raises:
        EngineError: E19 the weights are different.
    """
    if not default.matches(bundle):
        raise EngineError(
            "E19",
            f"engine '{default.name}' with weights {bundle.manifest.weights_sha256[:16]}…",
            f"{default.weights_sha256[:16]}…, which were promoted",
            FIX,
        )


def write(home: Path, default: DefaultEngine) -> None:
    """Make an engine the default; the file is replaced in one step.

    Raises:
        Refusal: R02 the file cannot be written.
    """
    output_files.write(home / FILE, json.dumps(asdict(default), indent=2) + "\n")
