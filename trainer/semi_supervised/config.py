"""Configuration of the semi-supervised stage, named as in the paper (Sec. 2.2, 3.1).

The profile `paper` takes the plainest choice where the paper is silent; `default` adds our
changes; `scratch` is for networks trained without ImageNet weights. An ablation changes a
single value.
"""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trainer.data.augment import WEAK, Weak
from trainer.data.augment_strong import STRONG, Strong
from trainer.names import Method, Precision, Profile, Role
from trainer.steps.schedule import Schedule

PAPER_RAMP = 80 / 300
"""Share of the epochs in which the weight rises (Laine and Aila; Tarvainen and Valpola)."""
W_MAX = {
    ("pgls", "kl"): 10.0,
    ("pgls", "mse"): 100.0,
    ("mean-teacher", "kl"): 10.0,
    ("mean-teacher", "mse"): 100.0,
    ("pi", "mse"): 100.0,
    ("temporal-ensembling", "mse"): 30.0,
}
"""Default of `w_max` by method and consistency loss, from the code of the methods' authors.

The paper states none. SimMatch has `lambda_u` and `lambda_in` as its weights instead.
"""
WITH_TEACHER = ("pgls", "mean-teacher", "simmatch")
WITH_RAMP = ("pgls", "mean-teacher", "pi", "temporal-ensembling")

READ_BY: dict[tuple[Method, ...], tuple[str, ...]] = {
    ("pgls",): (
        *("beta", "gamma", "omega", "selected_per_batch", "benign_rule", "malignant_rule"),
        *("select", "station_noise", "station_shuffle", "station_drop", "station_seed"),
    ),
    ("simmatch",): (
        *("alignment", "temperature", "smoothing", "tau", "queue", "projection"),
        *("lambda_u", "lambda_in", "strong"),
    ),
    ("temporal-ensembling",): ("ensemble",),
    ("pgls", "mean-teacher"): ("consistency",),
    WITH_RAMP: ("w_max", "ramp"),
}
"""Values that only these methods read; every method reads all other values."""


class SslConfig(BaseModel):
    """Configuration of the semi-supervised stage.

    Attributes:
        method: Name of the semi-supervised method, which sets the unsupervised loss.
        profile: Name of the set of values that this configuration started from.
        epochs: Number of passes over the unlabelled nodes.
        labelled_batch: Labelled nodes per step, over all processes.
        unlabelled_batch: Unlabelled nodes per step, over all processes.
        positive_fraction: Share of positives among the labelled nodes of a step; None keeps the
            share of the cohort.
        optimizer: `sgd` with momentum (paper) or `adamw`.
        learning_rate: Peak learning rate, for the whole batch.
        momentum: Momentum of SGD.
        weight_decay: Weight decay, on convolution and linear weights only.
        schedule: Learning rate of each step, see `schedule`.
        head_lr_mult: Learning rate factor for layers that the supervised run did not train.
        alpha: Smoothing coefficient of the teacher (eq. 2).
        ema_warmup: Whether the teacher is the plain mean of the first 1/(1-alpha) students.
        consistency: Consistency loss, `kl` (paper) or `mse`; pi and temporal-ensembling always
            use `mse`.
        w_max: Weight of the consistency loss after the ramp-up; None is the method's default.
        ramp: Share of the epochs in which that weight rises.
        beta: Threshold in malignant stations: higher scores get the pseudo-label malignant.
        gamma: Threshold in benign stations: lower scores get the pseudo-label benign.
        omega: Weight of the label sharpening loss.
        selected_per_batch: Selected pseudo-labels per step; K is this times the steps of an epoch.
        benign_rule: `gamma` (paper), or `all` nodes of a benign station (ours).
        malignant_rule: `beta` (paper), or `top1`: also the best-scored node of each station (ours).
        select: How K nodes are selected: `uniform` (paper), or `stratified`, up to half of K
            malignant (ours).
        ensemble: Momentum of the targets of temporal ensembling.
        alignment: Target of SimMatch's alignment: the labelled `prior` (ours), or `uniform`
            (its authors).
        temperature: Temperature of SimMatch's similarities.
        smoothing: Share of the teacher's own probability in SimMatch's pseudo-labels.
        tau: Confidence threshold of SimMatch.
        queue: Number of batches that SimMatch's alignment remembers.
        projection: Width of SimMatch's features.
        lambda_u: Weight of SimMatch's pseudo-label loss.
        lambda_in: Weight of SimMatch's similarity loss.
        truth_reader: Reader whose labels of unlabelled patients' nodes are trained on, with the
            method `supervised` only: the 'all labels' row, an upper bound.
        station_noise: Share of stations whose status is inverted (experiments only).
        station_shuffle: Share of stations that exchange their status (experiments only).
        station_drop: Share of stations that become unknown (experiments only).
        station_seed: Random seed of those three experiments.
        reported: The network that is validated, selected and reported; None is the method's
            default.
        augment: Ranges of the weak augmentation.
        strong: Ranges of SimMatch's strong augmentation.
        precision: Precision of the forward pass; `auto` is bf16 on a GPU. Losses and the teacher
            are fp32.
        validate_every: Number of epochs between two validations.
        smooth: Number of validations whose median selects the checkpoint.
        seed: Random seed of sampling, augmentation, dropout and selection.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method = "pgls"
    profile: Profile = "paper"
    epochs: int = Field(default=300, ge=1)
    labelled_batch: int = Field(default=16, ge=2)
    unlabelled_batch: int = Field(default=112, ge=1)
    positive_fraction: float | None = Field(default=None, gt=0, lt=1)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(default=1.28e-4, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    schedule: Schedule = "cosine"
    head_lr_mult: float = Field(default=1.0, gt=0)
    alpha: float = Field(default=0.999, ge=0, lt=1)
    ema_warmup: bool = False
    consistency: Literal["kl", "mse"] = "kl"
    w_max: float | None = Field(default=None, ge=0)
    ramp: float = Field(default=PAPER_RAMP, ge=0, le=1)
    beta: float = Field(default=0.7, ge=0, le=1)
    gamma: float = Field(default=0.3, ge=0, le=1)
    omega: float = Field(default=0.6, ge=0)
    selected_per_batch: int = Field(default=16, ge=1)
    benign_rule: Literal["gamma", "all"] = "gamma"
    malignant_rule: Literal["beta", "top1"] = "beta"
    select: Literal["uniform", "stratified"] = "uniform"
    ensemble: float = Field(default=0.6, ge=0, lt=1)
    alignment: Literal["prior", "uniform"] = "prior"
    temperature: float = Field(default=0.1, gt=0)
    smoothing: float = Field(default=0.9, ge=0, le=1)
    tau: float = Field(default=0.95, ge=0, le=1)
    queue: int = Field(default=32, ge=1)
    projection: int = Field(default=128, ge=2)
    lambda_u: float = Field(default=1.0, ge=0)
    lambda_in: float = Field(default=1.0, ge=0)
    truth_reader: str | None = None
    station_noise: float = Field(default=0.0, ge=0, le=1)
    station_shuffle: float = Field(default=0.0, ge=0, le=1)
    station_drop: float = Field(default=0.0, ge=0, le=1)
    station_seed: int = Field(default=0, ge=0)
    reported: Role | None = None
    augment: Weak = WEAK
    strong: Strong = STRONG
    precision: Precision = "auto"
    validate_every: int = Field(default=5, ge=1)
    smooth: int = Field(default=3, ge=1)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _fits(self) -> "SslConfig":
        if self.truth_reader is not None and self.method != "supervised":
            raise ValueError("truth_reader is for method supervised: no other may see the truth")
        if self.method == "pgls" and self.gamma > self.beta:
            raise ValueError(f"gamma is {self.gamma:g}, beta {self.beta:g}; wanted gamma <= beta")
        return self

    @property
    def batch(self) -> int:
        """Number of nodes per step, labelled and unlabelled."""
        return self.labelled_batch + self.unlabelled_batch

    @property
    def weight(self) -> float:
        """Value of w_max; the method's default if the configuration gives none."""
        if self.w_max is not None:
            return self.w_max
        fixed = self.method in ("pi", "temporal-ensembling")
        return W_MAX.get((self.method, "mse" if fixed else self.consistency), 0.0)

    @property
    def network(self) -> Role:
        """The network that is reported: the student if the method has no teacher."""
        return self.reported or ("teacher" if self.method in WITH_TEACHER else "student")


def unread(config: SslConfig, names: Iterable[str]) -> list[str]:
    """Return those of the given values that the method ignores."""
    readers = {name: methods for methods, listed in READ_BY.items() for name in listed}
    return [name for name in names if config.method not in readers.get(name, (config.method,))]


def with_values(config: SslConfig, **values: Any) -> SslConfig:  # noqa: ANN401
    """Return the configuration with some values changed, and validate it again."""
    return SslConfig.model_validate(config.model_dump() | values)


PAPER = SslConfig()
DEFAULT = with_values(
    PAPER,
    profile="default",
    head_lr_mult=10.0,
    positive_fraction=0.25,
    benign_rule="all",
    malignant_rule="top1",
    select="stratified",
)
SCRATCH = with_values(
    DEFAULT,
    profile="scratch",
    epochs=20,
    optimizer="adamw",
    learning_rate=3e-4,
    schedule="onecycle",
    head_lr_mult=5.0,
    alpha=0.99,  # this profile has only about a thousand steps in all
    validate_every=1,
)
PROFILES = {config.profile: config for config in (PAPER, DEFAULT, SCRATCH)}
