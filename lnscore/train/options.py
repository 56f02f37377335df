"""What `lnscore train` is asked for, and what a run is made of by it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from lnscore.errors import Refusal

if TYPE_CHECKING:
    from trainer.data.cohort import Cohort
    from trainer.networks.config import NetworkConfig

STAGES = ("pretrain", "supervised", "ssl")
USUAL: Mapping[str, Any] = MappingProxyType(
    {
        "network": "two-stream",
        "reader": "radiologist",
        "split_seed": 0,
        "labelled_share": 1.0,
        "pretrained": "none",
    }
)
"""What a supervised run decides, where the command line does not; ssl takes its source's."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What the command line said.

    Attributes:
        stage: `pretrain`, `supervised` or `ssl`.
        network: A name of `trainer.networks.registry`.
        knobs: `name=value` of the network's configuration, as `fpn_channels=32`; of the
            stage's, as `beta=0.8`, where that is `ssl`.
        profile: `paper`, `default` or `scratch`.
        name: The run's; its folder is `out/name`.
        out: Folder of all runs.
        reader: Whose labels.
        folds: Which folds; empty for all.
        split_seed: Of the division of patients.
        pretrained: `none`, `torchvision:...`, `timm:...`, or a safetensors file.
        sha256: Of that file.
        resume: Go on with a run.
        device: `auto`, `cpu`, `cuda`.
        epochs: None is the profile's, as for those that follow.
        engine: Export, import and register the engine of a complete run.
        method: Of the semi-supervised stage.
        source: The supervised run's folder, for that stage.
        labelled_share: Of each fold's training patients, those whose labels it may use.
        given: Those of `USUAL` that the command line named.
    """

    stage: str
    network: str
    knobs: tuple[str, ...]
    profile: str
    name: str
    out: Path
    reader: str
    folds: tuple[int, ...]
    split_seed: int
    pretrained: str
    sha256: str
    resume: bool
    device: str
    engine: bool = True
    epochs: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    precision: str | None = None
    seed: int | None = None
    method: str | None = None
    source: Path | None = None
    labelled_share: float = 1.0
    given: frozenset[str] = frozenset()


def network_of(options: TrainOptions) -> "NetworkConfig":
    """The network's configuration: the named one's, changed by `--set`.

    Raises:
        TrainerError: T41, no network has the name.
        Refusal: U05, a knob that does not fit.
    """
    from pydantic import ValidationError

    from trainer.networks.registry import named, parse

    config = named(options.network)
    try:
        knobs = dict(knob(text) for text in options.knobs)
        return parse(config.model_dump() | knobs)
    except (ValidationError, ValueError) as error:
        raise Refusal(
            "U05",
            f"--set {' --set '.join(options.knobs)}: {str(error).splitlines()[-1].strip()}",
            f"NAME=VALUE of {', '.join(sorted(config.model_dump()))}",
            "See docs/networks.md for each knob.",
        ) from error


def knob(text: str) -> tuple[str, Any]:
    """The name and the value of NAME=VALUE, as JSON where it is."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def facts_of(
    options: TrainOptions, network: "NetworkConfig", cohort: "Cohort", digest: str
) -> dict[str, Any]:
    """What a run is: to go on, all of it must be equal."""
    from trainer.data.folds import FOLDS

    return {
        "stage": options.stage,
        "network": options.network,
        "config": network.model_dump(mode="json"),
        "profile": options.profile if options.stage == "supervised" else None,
        "values": values_of(options).model_dump(mode="json"),
        "reader": options.reader,
        "split_seed": options.split_seed,
        "labelled_share": options.labelled_share,
        "cohort_sha256": digest,
        "nodes": len(cohort.nodes),
        "labelled": len(cohort.labelled),
        "positive": int((cohort.labels == 1).sum()),
        "pretrained": _pretrained_fact(options),
        "folds": FOLDS,
    }


def _pretrained_fact(options: TrainOptions) -> str:
    return f"file:{options.sha256.lower()}" if options.sha256 else options.pretrained


def values_of(options: TrainOptions) -> Any:  # noqa: ANN401
    """The stage's values: the profile's, changed by the command line."""
    from pydantic import ValidationError

    from trainer.supervised.config import PROFILES, with_values
    from trainer.supervised.pretraining_stage import PretrainConfig

    if options.profile not in PROFILES:
        known = ", ".join(PROFILES)
        raise Refusal("U05", f"--profile {options.profile}", f"one of {known}", "Choose one.")
    names = ("epochs", "batch", "learning_rate", "precision", "seed")
    given = {n: value for n in names if (value := getattr(options, n)) is not None}
    try:
        if options.stage == "pretrain":
            return PretrainConfig(**given)
        return with_values(PROFILES[options.profile], **given)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise Refusal(
            "U05", f"--{option} {first['input']}", first["msg"], "See docs/training.md."
        ) from error
