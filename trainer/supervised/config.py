"""Config of the supervised stage, and its profiles.

Profile `paper` follows the paper exactly; `default` and `scratch` have our changes. Where the paper
is silent, we chose the simplest reading (see docs/training.md). To change a value, pass it as a
keyword; there are no subclasses.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from trainer.data.augment import WEAK, Weak
from trainer.names import Precision, Profile
from trainer.steps.schedule import Schedule

PAPER_BATCH = 32


class SupervisedConfig(BaseModel):
    """Values of the supervised stage (paper Sec. 3.1; gaps filled by us).

    Attributes:
        profile: Name of the profile that this config started from.
        epochs: Number of passes over the labelled training nodes.
        batch: Number of nodes of a step, over all processes together.
        optimizer: `sgd` with momentum (paper) or `adamw`.
        learning_rate: Peak learning rate, for steps of `batch` nodes.
        momentum: Momentum of SGD.
        weight_decay: Weight decay, applied to convolution and linear weights only.
        schedule: Name of the learning-rate schedule (see `trainer.steps.schedule`).
        head_lr_mult: Factor of the learning rate for layers that no pretrained file fills (without
            pretrained weights: the heads).
        positive_fraction: Share of positives in a batch; None draws from all nodes alike.
        bn_momentum: Momentum of every BatchNorm; None keeps the value of the network config.
        augment: Ranges of the weak augmentation.
        precision: Precision of the forward pass; `auto` is bf16 on a GPU, else fp32. Losses are
            always fp32.
        validate_every: Number of epochs from one validation to the next.
        smooth: Number of last validations whose median AUROC selects the best checkpoint.
        seed: Random seed of initialisation, sampling, augmentation and dropout.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Profile = "paper"
    epochs: int = Field(default=300, ge=1)
    batch: int = Field(default=PAPER_BATCH, ge=2)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(default=3.2e-4, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    schedule: Schedule = "cosine"
    head_lr_mult: float = Field(default=1.0, gt=0)
    positive_fraction: float | None = Field(default=None, gt=0, lt=1)
    bn_momentum: float | None = Field(default=None, gt=0, le=1)
    augment: Weak = WEAK
    precision: Precision = "auto"
    validate_every: int = Field(default=5, ge=1)
    smooth: int = Field(default=3, ge=1)
    seed: int = Field(default=0, ge=0)


PAPER = SupervisedConfig()
DEFAULT = SupervisedConfig(profile="default", head_lr_mult=10.0, positive_fraction=0.25)
SCRATCH = SupervisedConfig(
    profile="scratch",
    epochs=30,
    optimizer="adamw",
    learning_rate=1e-3,
    schedule="onecycle",
    head_lr_mult=5.0,
    positive_fraction=0.25,
    bn_momentum=0.1,
    validate_every=2,
)
PROFILES = {config.profile: config for config in (PAPER, DEFAULT, SCRATCH)}


def with_values(config: SupervisedConfig, **values: Any) -> SupervisedConfig:  # noqa: ANN401
    """Return the config with some values changed and checked; a value of None changes nothing."""
    given = {name: value for name, value in values.items() if value is not None}
    return SupervisedConfig.model_validate(config.model_dump() | given)
