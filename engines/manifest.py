"""The manifest of a bundle: what the engine is, how it was made and what it may be used for."""

import hashlib
import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from engines.patch import SPEC

if TYPE_CHECKING:
    pass

VERSION = 1
OPSET = 20
RESEARCH_USE = (
    "For research only. Not a medical device; not cleared for diagnosis or for any decision "
    "about a patient."
)
FileName = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)
Sha256 = Field(pattern=r"^[0-9a-f]{64}$")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Part):
    """A file of the bundle and the SHA-256 of its bytes."""

    file: str = FileName
    sha256: str = Sha256


class ModelFile(File):
    """An ONNX graph of the bundle, with its operator set version."""

    opset: int


class PatchRules(_Part):
    """The patch specification that the engine was trained on (see `engines.patch`)."""

    specification: dict[str, Any]
    hash: str


class Calibration(_Part):
    """Map from raw logit to calibrated probability: sigmoid(logit / temperature + bias).

    The bias corrects for the difference between the training prior (share of malignant nodes) and
    the natural prevalence.
    """

    temperature: float = Field(gt=0)
    bias: float = 0.0


class OperatingPoint(_Part):
    """A named threshold: a node is positive if its raw fused probability is at least this."""

    name: str
    threshold: float = Field(ge=0, le=1)
    sensitivity: float | None = Field(default=None, ge=0, le=1)
    specificity: float | None = Field(default=None, ge=0, le=1)


class Metric(_Part):
    """A value and the limits of its confidence interval."""

    value: float
    low: float | None = None
    high: float | None = None


class About(_Part):
    """The part of the manifest that the maker of an engine states; export adds files and hashes."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)
    created: datetime
    trained: bool
    how_to_make_again: str
    research_use: str = RESEARCH_USE
    verified_on_gpu: bool = False
    calibration: Calibration | None = None
    operating_points: list[OperatingPoint] = []
    training_prior: float | None = Field(default=None, gt=0, lt=1)
    cohort: dict[str, Any] | None = None
    metrics: dict[str, Metric] = {}

    @property
    def phantom(self) -> bool:
        """Whether it was trained on phantoms; then its scores mean nothing for patients."""
        return of_phantoms(self.cohort)

    @property
    def caution(self) -> str:
        """Warning that the scores mean nothing, with the reason; empty if trained on patients."""
        return caution(trained=self.trained, phantom=self.phantom)


class Manifest(About):
    """The whole content of `manifest.json`."""

    manifest_version: Literal[1] = VERSION
    network: dict[str, Any]
    weights_sha256: str = Sha256
    patch: PatchRules
    models: dict[Literal["fp32", "fp16"], ModelFile]
    golden: File
    card: File | None = None
    """Description of the engine for people (Markdown); null if it was made without one."""

    @model_validator(mode="after")
    def _has_reference(self) -> "Manifest":
        if "fp32" not in self.models:
            raise ValueError("no fp32 graph, which is the reference of every other")
        return self

    @property
    def config_hash(self) -> str:
        """First 16 hex digits of the SHA-256 of network, calibration and operating points.

        The same weights with a new calibration are therefore another engine, and its scores are
        stored beside the old ones.
        """
        named = self.model_dump(mode="json", include={"network", "calibration", "operating_points"})
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]

    def calibrate(self, fused_logit: np.ndarray) -> np.ndarray | None:
        """Compute calibrated probabilities from raw fused logits; None without a calibration."""
        if self.calibration is None:
            return None
        z = fused_logit.astype(np.float64) / self.calibration.temperature + self.calibration.bias
        small = np.exp(-np.abs(z))  # cannot overflow
        return np.where(z >= 0, 1.0, small) / (1.0 + small)

    def calls(self, fused: np.ndarray) -> dict[str, np.ndarray]:
        """Return for each operating point which nodes are positive, bool of shape (node,)."""
        return {point.name: fused >= point.threshold for point in self.operating_points}


def of_phantoms(cohort: dict[str, Any] | None) -> bool:
    """Return whether the `cohort` of a manifest says that it consists of phantoms."""
    return bool((cohort or {}).get("phantom"))


def caution(*, trained: bool, phantom: bool) -> str:
    """Return a warning that an engine's scores mean nothing; empty if it needs no warning."""
    if not trained:
        return "untrained: its scores mean nothing"
    return "trained on phantoms: its scores mean nothing for patients" if phantom else ""


def patch_rules() -> PatchRules:
    """Return the current rules of `engines.patch`, for a new manifest."""
    return PatchRules(specification=asdict(SPEC), hash=SPEC.hash)
