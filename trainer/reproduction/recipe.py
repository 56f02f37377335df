"""The recipe of a reproduction: profile, seeds and sizes that all its rows share (ours)."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trainer.data.folds import FOLDS
from trainer.errors import TrainerError
from trainer.names import Precision, Profile
from trainer.runs.directory import OLDER, put_json, read_json

FILE = "recipe.json"
MAY_GROW = ("seeds", "folds")
"""Fields that may get more values: they add runs and change no finished one."""


class Values(BaseModel):
    """Values that replace those of a stage's profile; None keeps the profile's.

    Attributes:
        epochs: Number of passes over the nodes.
        batch: Nodes per step; not for `ssl`, which sets labelled and unlabelled nodes apart.
        learning_rate: Peak learning rate.
        precision: `auto`, `fp32` or `bf16`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int | None = Field(default=None, ge=1)
    batch: int | None = Field(default=None, ge=2)
    learning_rate: float | None = Field(default=None, gt=0)
    precision: Precision | None = None


class Weights(BaseModel):
    """Published weights of one network's backbones.

    Attributes:
        source: `torchvision:...`, `timm:...`, or a safetensors file.
        sha256: SHA-256 of the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    sha256: str = ""


class Recipe(BaseModel):
    """The configuration that all rows share.

    Attributes:
        profile: Profile of every stage.
        seeds: Random seeds; each row has one run per seed.
        folds: Number of folds to train, from the first, at most four.
        split_seed: Random seed of the division of patients, the same for all seeds.
        labelled_share: Share of each fold's training patients whose labels are used.
        reader: Name of the reader of the labels.
        truth_reader: Reader who labelled the nodes of unlabelled patients, such as
            `phantom-truth`; None leaves out the row that trains on all labels.
        network: Knobs for every network that has them; the knobs of a row come first.
        supervised: Values of the supervised stage.
        ssl: Values of the semi-supervised stage, any that it has; the values of a row come first.
        pretrain: Values of pretraining: the body of each 2.5D network is pretrained once without
            labels, and 3D networks start from random weights. None starts from `pretrained`.
        pretrained: Weights by name of the network; a network without them starts from random ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Profile = "paper"
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    folds: int = Field(default=FOLDS, ge=1, le=FOLDS)
    split_seed: int = Field(default=0, ge=0)
    labelled_share: float = Field(default=1, gt=0, le=1)
    reader: str = "radiologist"
    truth_reader: str | None = None
    network: dict[str, Any] = {}
    supervised: Values = Values()
    ssl: dict[str, Any] = {}
    pretrain: Values | None = None
    pretrained: dict[str, Weights] = {}

    @model_validator(mode="after")
    def _one_start(self) -> "Recipe":
        if self.pretrain is not None and self.pretrained:
            raise ValueError("pretrain and pretrained; wanted one of the two")
        return self


def read(file: Path) -> Recipe:
    """Read a recipe, YAML or JSON.

    Raises:
        TrainerError: T60 the file cannot be read, or a value does not fit.
    """
    try:
        return Recipe.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise unfit(f"{file}: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"])) or "recipe"
        raise unfit(f"{file}, {place}: {wrong['msg']}") from error


def changed(recipe: Recipe, given: dict[str, Any]) -> Recipe:
    """Return the recipe with some values changed, and validate it again.

    Raises:
        TrainerError: T60 a value does not fit.
    """
    try:
        return Recipe.model_validate(recipe.model_dump() | given)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise unfit(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from error


def keep(recipe: Recipe, out: Path) -> None:
    """Write the recipe beside its runs; a folder holds the runs of one recipe only.

    Raises:
        TrainerError: T61 the runs in the folder were made with another recipe.
    """
    file, now = out / FILE, recipe.model_dump(mode="json")
    if file.exists():
        before = OLDER | read_json(file)
        now["seeds"] = sorted({*before["seeds"], *recipe.seeds})
        now["folds"] = max(before["folds"], recipe.folds)
        other = [key for key in now if key not in MAY_GROW and now[key] != before.get(key)]
        if other:
            raise TrainerError(
                "T61",
                f"the runs in {out} were made with another {', '.join(other)}",
                "the recipe that the folder began with (recipe.json); seeds and folds may grow",
                "Repeat that recipe, or name another folder with --out.",
            )
    out.mkdir(parents=True, exist_ok=True)
    put_json(file, now)


def unfit(found: str) -> TrainerError:
    """Return the error T60 for a recipe that is not valid."""
    return TrainerError(
        "T60",
        found,
        f"a YAML document with any of {', '.join(Recipe.model_fields)}",
        "See docs/reproduction.md for a recipe.",
    )
