"""The options of `lnscore train`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from lnscore.command_options import Option
from trainer.names import METHODS, NETWORKS, PRECISIONS, STAGES

PROFILE_VALUE = "the profile's value"


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of a training.

    Attributes:
        knobs: Values `NAME=VALUE` of the network's configuration; with `ssl`, of the stage.
        folds: Numbers of the folds to train; empty for all.
        source: Folder of the supervised run that a semi-supervised run starts from.
        given: Names of the options that the command line gave.
    """

    stage: Annotated[
        str,
        Option(
            help="Stage to train: supervised (four folds on labelled nodes), ssl "
            "(semi-supervised, from a supervised run), or pretrain (the network's body on "
            "unlabelled nodes; no label is read).",
            metavar="NAME",
            recorded="identity",
        ),
    ] = "supervised"
    method: Annotated[
        str | None,
        Option(
            help=f"Method of the ssl stage: {', '.join(METHODS)}.",
            metavar="NAME",
            default="pgls",
            recorded="values",
        ),
    ] = None
    source: Annotated[
        Path | None,
        Option(
            help="Folder of the supervised run that the ssl stage starts from. Its network, "
            "reader, division of patients, share of labels and weights are used.",
            flag="--from",
            metavar="RUN",
        ),
    ] = None
    network: Annotated[
        str,
        Option(
            help=f"Architecture: {', '.join(NETWORKS)}. docs/networks.md describes them.",
            metavar="NAME",
            recorded="identity",
            inherited=True,
        ),
    ] = "two-stream"
    knobs: Annotated[
        tuple[str, ...],
        Option(
            help="Set a value of the network's configuration, for example fpn_channels=32. With "
            "ssl, set a value of the stage, for example beta=0.8. Repeat the option for several "
            "values.",
            flag="--set",
            metavar="NAME=VALUE",
            recorded="values",
        ),
    ] = ()
    profile: Annotated[
        str,
        Option(
            help="Set of values to train with: paper (exactly as published), default (our changes, "
            "for pretrained weights) or scratch (our changes, for random weights).",
            metavar="NAME",
            recorded="identity",
        ),
    ] = "default"
    name: Annotated[
        str,
        Option(
            help="Name of the run. Its folder is OUT/NAME.", metavar="NAME", default="STAGE-NETWORK"
        ),
    ] = ""
    out: Annotated[Path, Option(help="Folder of all runs.", metavar="FOLDER")] = Path("runs")
    reader: Annotated[
        str,
        Option(
            help="Reader whose labels the network learns.",
            metavar="NAME",
            recorded="identity",
            inherited=True,
        ),
    ] = "radiologist"
    folds: Annotated[
        tuple[int, ...],
        Option(
            help="Train only this fold, 0 to 3. Repeat the option for several folds.",
            flag="--fold",
            metavar="N",
            default="all four",
            minimum=0,
        ),
    ] = ()
    split_seed: Annotated[
        int,
        Option(
            help="Seed of the division of patients into folds.",
            metavar="N",
            minimum=0,
            recorded="identity",
            inherited=True,
        ),
    ] = 0
    labelled_share: Annotated[
        float,
        Option(
            help="Share of the training patients of each fold whose labels are used, above 0 and "
            "up to 1.",
            metavar="S",
            recorded="identity",
            inherited=True,
        ),
    ] = 1.0
    pretrained: Annotated[
        str,
        Option(
            help="Weights to start from: none, torchvision:WEIGHTS, timm:NAME (these two may be "
            "downloaded), or a safetensors file.",
            metavar="WEIGHTS",
            recorded="identity",
            inherited=True,
        ),
    ] = "none"
    sha256: Annotated[
        str,
        Option(
            help="SHA-256 of the safetensors file. The file is refused without it.", metavar="HEX"
        ),
    ] = ""
    resume: Annotated[
        bool, Option(help="Continue a run that was stopped. The other options must be the same.")
    ] = False
    device: Annotated[
        str, Option(help="Device to train on: auto, cpu or cuda.", metavar="NAME")
    ] = "auto"
    epochs: Annotated[
        int | None,
        Option(
            help="Number of epochs.",
            metavar="N",
            default=PROFILE_VALUE,
            minimum=1,
            recorded="values",
        ),
    ] = None
    batch: Annotated[
        int | None,
        Option(
            help="Number of nodes in a step, over all processes. It is not used with ssl.",
            metavar="N",
            default=PROFILE_VALUE,
            minimum=2,
            recorded="values",
        ),
    ] = None
    learning_rate: Annotated[
        float | None,
        Option(
            help="Peak learning rate.", metavar="RATE", default=PROFILE_VALUE, recorded="values"
        ),
    ] = None
    precision: Annotated[
        str | None,
        Option(
            help=f"Precision of the forward pass: {', '.join(PRECISIONS)}. With auto it is bf16 "
            "on a GPU and fp32 elsewhere.",
            metavar="NAME",
            default=PROFILE_VALUE,
            recorded="values",
        ),
    ] = None
    seed: Annotated[
        int | None,
        Option(
            help="Seed of initial weights, sampling, augmentation and dropout.",
            metavar="N",
            default=PROFILE_VALUE,
            minimum=0,
            recorded="values",
        ),
    ] = None
    no_engine: Annotated[bool, Option(help="Do not make an engine from the finished run.")] = False
    given: frozenset[str] = frozenset()


def named(options: TrainOptions) -> TrainOptions:
    """Return the options with a name for the run: the given one, or STAGE-NETWORK."""
    kind = (options.method or METHODS[0]) if options.stage == STAGES[-1] else options.network
    return options if options.name else replace(options, name=f"{options.stage}-{kind}")
