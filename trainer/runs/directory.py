"""The folder of a run: it records what was done and allows to resume after an interruption.

runs/NAME/run.json                 stage, network, configuration, data, folds
         cohort.json               counts of patients and nodes
         engine/                   the bundle of the best fold
         fold-0/split.json         patient pseudonym to part
                environment.json   versions, machine, seeds
                log.jsonl          one line per epoch
                last.safetensors   weights and optimiser state, from which `--resume` continues
                best.safetensors   weights that validation selected
                predictions.parquet, predictions-last.parquet
                curves.png, tensorboard/
         training.lock             locked during training
"""

import json
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from ground.whole_files import put
from trainer.errors import TrainerError

LAST, BEST, LOG, DONE = "last.safetensors", "best.safetensors", "log.jsonl", "done.json"
SPLIT = "split.json"
LOCK = "training.lock"
CURVES = "curves.png"
FACTS = "run.json"
ADDED = ("from_sha256",)
"""Facts that runs of older versions do not record; they are not compared with such a run."""
OLDER = {"labelled_share": 1.0}
"""Facts that older versions did not record, with the value that always applied then."""
PACKAGES = ("lnscore", "torch", "torchvision", "timm", "monai", "numpy", "scikit-learn")


def open_run(root: Path, facts: dict[str, Any], *, resume: bool) -> Path:
    """Begin a new run, or resume one with the same facts.

    Args:
        root: Folder `runs/NAME`.
        facts: Stage, network, configuration and data; a run is only resumed if all are equal.
        resume: Whether to resume; a run that does not exist yet is begun.

    Raises:
        TrainerError: T10 the folder holds a run and `resume` is False; T11 its facts differ.
    """
    file = root / FACTS
    if not file.exists():
        refuse_foreign(root)
        root.mkdir(parents=True, exist_ok=True)
        put_json(file, facts)
        return root
    if not resume:
        raise TrainerError(
            "T10",
            f"a run in {root}",
            "a new name, or --resume",
            "Go on with --resume, or give the run another --name.",
        )
    before, now = read_facts(root), OLDER | facts
    compared = {k for k in now.keys() | before.keys() if k in before or k not in ADDED}
    changed = sorted(k for k in compared if now.get(k) != before.get(k))
    if changed:
        raise TrainerError(
            "T11",
            f"the run in {root} was begun with another {', '.join(changed)}",
            "the same options and the same data",
            "Repeat the command with the run's own options (run.json), or name another run.",
        )
    return root


def read_facts(root: Path) -> dict[str, Any]:
    """Read `run.json`, and add what older versions did not record."""
    return OLDER | read_json(root / FACTS)


def refuse_foreign(root: Path) -> None:
    """Refuse a folder that holds something other than a run.

    Raises:
        TrainerError: T10 the folder holds other files.
    """
    if not root.exists() or (root / FACTS).exists():
        return
    if any(one.name != LOCK for one in root.iterdir()):
        raise TrainerError("T10", f"files in {root}", "a new or empty folder", "Name another run.")


def undone(root: Path) -> list[int]:
    """Return the folds of a run that are not trained yet."""
    folds = read_facts(root)["folds"]
    return [fold for fold in range(folds) if not (root / f"fold-{fold}" / DONE).exists()]


def environment(device: torch.device) -> dict[str, Any]:
    """Return versions and machine, nothing that names a person or a place."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "device": str(device),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "threads": torch.get_num_threads(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def put_json(file: Path, value: Any) -> None:  # noqa: ANN401
    """Write a JSON document as a whole or not at all."""
    put(file, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())


def read_json(file: Path) -> Any:  # noqa: ANN401
    """Read a JSON document of a run.

    Raises:
        TrainerError: T09 the file cannot be read.
    """
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise TrainerError(
            "T09",
            f"'{file.name}' of the run cannot be read ({type(error).__name__})",
            "the document that lnscore wrote",
            "Restore the run's folder, or start again under another name.",
        ) from error


def append_log(file: Path, line: dict[str, Any]) -> None:
    """Add one line to the log."""
    with file.open("a", encoding="utf-8") as log:
        log.write(json.dumps(line, sort_keys=True) + "\n")


def read_log(file: Path) -> list[dict[str, Any]]:
    """Read every complete line of a log; the last line may be cut off."""
    lines = []
    for text in file.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and "epoch" in line:
            lines.append(line)
    return lines


def cut_log(file: Path, epochs: int) -> list[dict[str, Any]]:
    """Remove the log lines after the last checkpoint of a killed run; return the other lines."""
    if not file.exists():
        return []
    kept = [line for line in read_log(file) if line["epoch"] < epochs]
    put(file, "".join(json.dumps(line, sort_keys=True) + "\n" for line in kept).encode())
    return kept
