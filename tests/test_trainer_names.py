"""The names that help texts list are those that the trainer and the engines have."""

from typing import get_args

from command_line import commands
from engines.back_ends import BACKENDS
from trainer import names
from trainer.networks.registry import NETWORKS
from trainer.reproduction.rows import TABLES
from trainer.semi_supervised.config import SslConfig
from trainer.supervised.config import PROFILES


def help_of(command: str, option: str) -> str:
    (found,) = [one for one in commands()[command].params if option in one.opts]
    return found.help or ""


def test_the_names_are_those_of_the_trainer() -> None:
    assert tuple(NETWORKS) == names.NETWORKS
    assert tuple(TABLES) == names.TABLES
    assert set(PROFILES) == set(names.PROFILES)
    assert get_args(SslConfig.model_fields["method"].annotation) == names.METHODS


def test_the_help_lists_every_network_method_and_back_end() -> None:
    assert all(name in help_of("train", "--network") for name in names.NETWORKS)
    assert all(name in help_of("train", "--method") for name in names.METHODS)
    for command in ("score", "nightly", "engine verify"):
        assert all(name in help_of(command, "--backend") for name in BACKENDS)


def test_every_option_of_every_command_has_a_help_text() -> None:
    for name, command in commands().items():
        for option in command.params:
            assert option.name == "help" or option.help, f"{name} {option.name}"
