"""What all rows of a reproduction have in common: profile, seeds, sizes (ours)."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trainer.data.folds import FOLDS
from trainer.errors import TrainerError
from trainer.runs.directory import OLDER, put_json, read_json

FILE = "recipe.json"
MAY_GROW = ("seeds", "folds")
"""More seeds and folds add runs and change none that is there."""


class Values(BaseModel):
    """Values of a stage instead of its profile's; None leaves the profile's.

    Attributes:
        epochs: Passes over the nodes.
        batch: Nodes of a step; not of `ssl`, whose parts have knobs of their own.
        learning_rate: Peak.
        precision: `auto`, `fp32` or `bf16`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int | None = Field(default=None, ge=1)
    batch: int | None = Field(default=None, ge=2)
    learning_rate: float | None = Field(default=None, gt=0)
    precision: Literal["auto", "fp32", "bf16"] | None = None


class Weights(BaseModel):
    """Published weights of one network's backbones.

    Attributes:
        source: `torchvision:...`, `timm:...`, or a safetensors file.
        sha256: Of the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    sha256: str = ""


class Recipe(BaseModel):
    """One configuration for all rows.

    Attributes:
        profile: Of every stage.
        seeds: One run a row and seed.
        folds: The first so many of the four.
        split_seed: Of the division of patients, the same for all seeds.
        labelled_share: Of each fold's training patients, those whose labels are used.
        reader: Whose labels.
        truth_reader: Who knows the nodes of unlabelled patients, as `phantom-truth`; None leaves
            out the row that trains on all labels.
        network: Knobs for every network that has them; a row's own go before them.
        supervised: Values of the supervised stage.
        ssl: Values of the semi-supervised stage, by any name that it has; a row's own go before.
        pretrain: Values of pretraining; each 2.5D network's body is pretrained once, without
            labels, and 3D networks start from drawn weights. None starts from `pretrained`.
        pretrained: Weights by the network's name; one that is not named starts from drawn ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Literal["paper", "default", "scratch"] = "paper"
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
        TrainerError: T60 it cannot be read, or a value does not fit.
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
    """The same recipe with some values changed, checked again.

    Raises:
        TrainerError: T60 a value does not fit.
    """
    try:
        return Recipe.model_validate(recipe.model_dump() | given)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise unfit(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from error


def keep(recipe: Recipe, out: Path) -> None:
    """Write the recipe beside its runs; a folder never mixes two.

    Raises:
        TrainerError: T61 the folder's runs were made by another recipe.
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
    """T60: what of a recipe cannot be."""
    return TrainerError(
        "T60",
        found,
        f"a YAML document with any of {', '.join(Recipe.model_fields)}",
        "See docs/reproduction.md for a recipe.",
    )
