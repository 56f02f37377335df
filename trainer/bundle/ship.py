"""Make the engine that the repository ships: a small one from a finished run, named `demo`.

`python -m trainer.bundle.ship RUN FOLDER --before COMMAND` writes the bundle to a new folder.
`--before` (repeatable) names the commands that made the data and the weights that the run
started from; they are recorded in `how_to_make_again`.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from engines.bundle import Bundle
from trainer.bundle.from_run import best_fold, make_bundle, read_run
from trainer.errors import TrainerError

NAME = "demo"
GOLDEN_NODES = 5
MAX_BYTES = 16_000_000


def ship(run: Path, folder: Path, before: Sequence[str] = ()) -> Bundle:
    """Write the bundle of the fold with the best validation AUROC.

    Args:
        run: Folder of a finished run.
        folder: Folder of the bundle; must not exist.
        before: Commands that were run before the training.

    Raises:
        TrainerError: T36 the bundle is too large for a repository; or as `make_bundle`.
    """
    finished = read_run(run)
    choice = best_fold(finished)
    bundle = make_bundle(
        finished, choice, NAME, folder, golden_nodes=GOLDEN_NODES, before=tuple(before)
    )
    size = sum(path.stat().st_size for path in folder.iterdir())
    if size > MAX_BYTES:
        shutil.rmtree(folder)
        raise TrainerError(
            "T36",
            f"an engine of {size / 1e6:.1f} MB",
            f"at most {MAX_BYTES / 1e6:g} MB",
            "Train a smaller network, such as two-stream-small with --set fpn_channels=32.",
        )
    return bundle


def main(argv: Sequence[str] | None = None) -> None:
    """Make the bundle from the command line."""
    parser = argparse.ArgumentParser(prog="python -m trainer.bundle.ship", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("folder", type=Path, help="the bundle's folder; must not exist")
    parser.add_argument("--before", action="append", default=[], metavar="COMMAND")
    asked = parser.parse_args(argv)
    ship(asked.run, asked.folder, asked.before)


if __name__ == "__main__":
    main()
