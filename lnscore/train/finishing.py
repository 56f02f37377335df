"""The end of supervised and semi-supervised trainings: summary, and engine of a complete run."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lnscore.errors import EXIT_DONE
from lnscore.settings import Settings
from lnscore.train.data import split_name
from lnscore.train.engine import make_engine
from lnscore.train.options import TrainOptions

if TYPE_CHECKING:
    from trainer.data.cohort import Cohort
    from trainer.networks.config import NetworkConfig


@dataclass(frozen=True)
class TrainingSummary:
    """The summary of a training.

    Attributes:
        run: Folder of the run.
        done: What was done, in sentences.
        advice: Next command for the user.
        exit_code: Exit code of the command.
    """

    run: Path
    done: list[str]
    advice: str
    exit_code: int = EXIT_DONE

    def lines(self) -> list[str]:
        """Return what was done, and what to do next."""
        return [*self.done, self.advice]

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for `--json`."""
        return asdict(self) | {"run": str(self.run)}


def makes_engine(options: TrainOptions, network: "NetworkConfig") -> bool:
    """Return whether an engine is made at the end of the run.

    A network that needs the outlines of nodes becomes no engine: an engine gets only patches.
    """
    return not options.no_engine and options.stage != "pretrain" and not network.needs_mask


def engine_of(
    options: TrainOptions, settings: Settings, network: "NetworkConfig", root: Path
) -> list[str]:
    """Make the engine of a complete run; return sentences about it, or why there is none.

    Raises:
        TrainerError, EngineError, DatabaseError: The engine cannot be made or does not work
            here.
    """
    from trainer.runs.directory import undone

    if not makes_engine(options, network):
        why = "--no-engine was given" if options.no_engine else "the network needs node outlines"
        return [f"no engine made: {why}"]
    if left := undone(root):
        return [f"no engine yet: fold {', '.join(map(str, left))} is still to be trained"]
    return make_engine(root, settings).lines()


def cohort_summary_of(options: TrainOptions, cohort: "Cohort") -> dict[str, Any]:
    """Return the counts of the cohort for the engine's model card."""
    from trainer.bundle.cohort_summary import summary

    return summary(cohort, split_name(options, cohort))
