"""Create the semi-supervised method that a configuration names."""

from torch import Tensor

from trainer.semi_supervised.config import SslConfig
from trainer.semi_supervised.methods import pi, supervised
from trainer.semi_supervised.methods.mean_teacher import MeanTeacher
from trainer.semi_supervised.methods.method import Method, StepNeeds
from trainer.semi_supervised.methods.pi import Pi
from trainer.semi_supervised.methods.simmatch import SimMatch
from trainer.semi_supervised.methods.supervised import Supervised
from trainer.semi_supervised.methods.temporal_ensembling import TemporalEnsembling
from trainer.steps.distributed import Ranks


def needs_of(config: SslConfig) -> StepNeeds:
    """Return what the method needs in each step."""
    return {
        "pgls": StepNeeds(teacher=True, sharpen=True),
        "mean-teacher": StepNeeds(teacher=True),
        "pi": pi.NEEDS,
        "temporal-ensembling": TemporalEnsembling.needs,
        "simmatch": SimMatch.needs,
        "supervised": supervised.NEEDS,
    }[config.method]


def choose(
    config: SslConfig, unlabelled: int, bank: Tensor | None, labels: Tensor, ranks: Ranks
) -> Method:
    """Create the method in its initial state.

    Args:
        config: Configuration with the name of the method and its values.
        unlabelled: Number of unlabelled nodes.
        bank: Teacher's features of the labelled nodes, for SimMatch only.
        labels: Labels of the labelled nodes, on the device.
        ranks: Rank of this process and number of processes.
    """
    if config.method == "simmatch":
        assert bank is not None
        return SimMatch(config, bank, labels, ranks)
    if config.method == "temporal-ensembling":
        return TemporalEnsembling(config, unlabelled, labels.device, ranks)
    if config.method == "pi":
        return Pi(config)
    if config.method == "supervised":
        return Supervised()
    return MeanTeacher(config, needs_of(config))
