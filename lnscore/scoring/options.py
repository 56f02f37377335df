"""The options of scoring: which nodes to score, and with which engine."""

from dataclasses import dataclass
from typing import Annotated

from engines.back_ends import AUTO, BACKENDS, PRECISIONS, Precision
from lnscore.command_options import Option


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """The engine to score with."""

    engine: Annotated[
        str | None,
        Option(
            help="Name of an engine, folder of a bundle, or auto. With auto the engine that was "
            "promoted is used; without one, the only trained engine, or the demo engine.",
            metavar="NAME|FOLDER",
            default="auto",
            recorded="argv",
        ),
    ] = None
    backend: Annotated[
        str,
        Option(
            help=f"Library that runs the engine: {AUTO}, {', '.join(BACKENDS)}. With {AUTO} the "
            "fastest that can run here is used. One that you name is never replaced by another.",
            metavar="NAME",
            recorded="argv",
        ),
    ] = AUTO
    precision: Annotated[
        Precision,
        Option(
            help=f"Precision of the engine's graph: {' or '.join(PRECISIONS)}.",
            metavar="NAME",
            choices=PRECISIONS,
            recorded="argv",
        ),
    ] = "fp32"


ANY_ENGINE = EngineOptions()


@dataclass(frozen=True, kw_only=True)
class ScoringOptions:
    """The nodes to score; exactly one of the three options is given."""

    study: Annotated[
        tuple[str, ...],
        Option(
            help="Score the nodes of this study, named by its StudyInstanceUID. Repeat the "
            "option for several studies.",
            metavar="UID",
            recorded="argv",
        ),
    ] = ()
    pending: Annotated[
        bool, Option(help="Score every node that this engine has not scored.", recorded="argv")
    ] = False
    everything: Annotated[
        bool,
        Option(
            help="Score every node again. Stored scores are compared with the new ones, not "
            "replaced.",
            flag="--all",
            recorded="argv",
        ),
    ] = False
