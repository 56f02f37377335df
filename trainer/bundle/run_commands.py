"""Reconstruct the command that makes a run again from its `run.json`."""

import json
import shlex
from typing import Any

from trainer.networks.registry import named
from trainer.semi_supervised.config import PROFILES as SSL_PROFILES
from trainer.supervised.config import PROFILES

GIVEN = ("epochs", "batch", "learning_rate", "precision", "seed")
"""Values that the command line may set instead of the profile's."""


def commands(facts: dict[str, Any], name: str) -> list[str]:
    """Return `lnscore train` with every option that differs from its default, without paths.

    Args:
        facts: Content of `run.json` of a stage that trains on labels.
        name: Name of the run.
    """
    if facts["stage"] == "ssl":
        return [_ssl(facts, name)]
    words = ["lnscore", "train", "--stage", facts["stage"], "--network", facts["network"]]
    words += [word for knob in _knobs(facts) for word in ("--set", knob)]
    words += ["--profile", facts["profile"], "--name", name, "--reader", facts["reader"]]
    words += ["--split-seed", str(facts["split_seed"]), *_pretrained(facts["pretrained"])]
    if facts["labelled_share"] != 1:
        words += ["--labelled-share", str(facts["labelled_share"])]
    return [shlex.join([*words, *_values(facts)])]


def _ssl(facts: dict[str, Any], name: str) -> str:
    """Return the command of a semi-supervised run; it names the supervised run to start from."""
    words = ["lnscore", "train", "--stage", "ssl", "--method", facts["method"]]
    words += ["--from", facts["from"], "--profile", facts["profile"], "--name", name]
    usual = SSL_PROFILES[facts["profile"]].model_dump(mode="json") | {"method": facts["method"]}
    changed = {key: now for key, now in facts["values"].items() if usual.get(key) != now}
    knobs = [setting(name, value) for name, value in changed.items()]
    return shlex.join(words + [word for knob in knobs for word in ("--set", knob)])


def setting(name: str, value: Any) -> str:  # noqa: ANN401 (whatever a config holds)
    """Format a value for the option `--set`."""
    return f"{name}={value if isinstance(value, str) else json.dumps(value)}"


def _knobs(facts: dict[str, Any]) -> list[str]:
    usual = named(facts["network"]).model_dump(mode="json")
    return [
        setting(knob, value) for knob, value in facts["config"].items() if usual.get(knob) != value
    ]


def _pretrained(source: str) -> list[str]:
    kind, _, sha256 = source.partition(":")
    if kind == "file":
        return ["--pretrained", "FILE", "--sha256", sha256]
    return [] if source == "none" else ["--pretrained", source]


def _values(facts: dict[str, Any]) -> list[str]:
    profile = PROFILES.get(facts["profile"])
    usual = profile.model_dump(mode="json") if profile else {}
    words = []
    for name in GIVEN:
        value = facts["values"].get(name)
        if value is not None and value != usual.get(name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words
