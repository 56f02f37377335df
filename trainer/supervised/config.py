"""What a stage trains with: `paper` to the letter, `default` and `scratch` with our changes.

Everything that the paper leaves open is filled by the plainest reading (see docs/training.md);
a changed value is a keyword, never a subclass.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from trainer.data.augment import WEAK, Weak
from trainer.steps.schedule import Schedule

PAPER_BATCH = 32


class SupervisedConfig(BaseModel):
    """The supervised stage (paper Sec. 3.1; gaps filled by us).

    Attributes:
        profile: The name of the set of values that this one started from.
        epochs: Passes over the labelled training nodes.
        batch: Nodes of a step, over all processes.
        optimizer: `sgd` with momentum (paper) or `adamw`.
        learning_rate: Peak, for `batch` nodes.
        momentum: Of SGD.
        weight_decay: On convolution and linear weights only.
        schedule: Per step, see `schedule`.
        head_lr_mult: Factor for layers that no pretrained file fills.
        positive_fraction: Share of positives in a batch; None draws naturally.
        bn_momentum: Of every BatchNorm; None leaves the network's own.
        augment: Ranges of the weak augmentation.
        precision: Of the forward pass; `auto` is bf16 on a GPU, fp32 elsewhere. Losses are fp32.
        validate_every: Epochs between two validations.
        smooth: Validations whose median selects the checkpoint.
        seed: Of initialisation, sampling, augmentation and dropout.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Literal["paper", "default", "scratch"] = "paper"
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
    precision: Literal["auto", "fp32", "bf16"] = "auto"
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
    """The same configuration with some values changed, checked again; None changes nothing."""
    given = {name: value for name, value in values.items() if value is not None}
    return SupervisedConfig.model_validate(config.model_dump() | given)
