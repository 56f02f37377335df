"""From the options of a training to its network, the values of its stage and its facts."""

import json
from typing import TYPE_CHECKING, Any

from lnscore.command_options import flag_of, recorded_in
from lnscore.errors import Refusal
from lnscore.train.options import TrainOptions

if TYPE_CHECKING:
    from pydantic import BaseModel

    from trainer.data.cohort import Cohort
    from trainer.networks.config import NetworkConfig


def network_of(options: TrainOptions) -> "NetworkConfig":
    """Return the configuration of the named network, changed by `--set`.

    Raises:
        TrainerError: T41, no network has the name.
        Refusal: U05, a value of `--set` does not fit.
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
    """Return the name and the value of NAME=VALUE; the value is parsed as JSON if it is JSON."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def facts_of(
    options: TrainOptions, network: "NetworkConfig", cohort: "Cohort", digest: str
) -> dict[str, Any]:
    """Return the facts that identify a run; it can only be resumed if all of them are equal."""
    from trainer.data.folds import FOLDS

    identity = {name: getattr(options, name) for name in recorded_in(TrainOptions, "identity")}
    return identity | {
        "config": network.model_dump(mode="json"),
        "profile": options.profile if options.stage == "supervised" else None,
        "values": values_of(options).model_dump(mode="json"),
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
    """Return the values of the stage: the profile's, changed by the command line.

    Raises:
        Refusal: U05, there is no such profile, or a value does not fit.
    """
    from pydantic import ValidationError

    from trainer.supervised.config import PROFILES, SupervisedConfig, with_values
    from trainer.supervised.pretraining_stage import PretrainConfig

    if options.profile not in PROFILES:
        known = ", ".join(PROFILES)
        raise Refusal("U05", f"--profile {options.profile}", f"one of {known}", "Choose one.")
    given = given_values(options, SupervisedConfig)
    try:
        if options.stage == "pretrain":
            return PretrainConfig(**given)
        return with_values(PROFILES[options.profile], **given)
    except ValidationError as error:
        first = error.errors()[0]
        flag = flag_of(TrainOptions, str(first["loc"][0]))
        raise Refusal(
            "U05", f"{flag} {first['input']}", first["msg"], "See docs/training.md."
        ) from error


def given_values(options: TrainOptions, config: "type[BaseModel]") -> dict[str, Any]:
    """Return the values of a stage that the command line gave, by their names in its config."""
    names = [name for name in recorded_in(TrainOptions, "values") if name in config.model_fields]
    return {name: value for name in names if (value := getattr(options, name)) is not None}
