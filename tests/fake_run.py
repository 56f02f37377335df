"""A finished run in a folder, without a step of training: its network tells nodes apart."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from fake_predictions import cohort, write_run
from fake_training import TINY, quick
from trainer.bundle.cohort_summary import FILE
from trainer.bundle.demo import untrained
from trainer.export.drawn_patches import phantom_patches
from trainer.networks.config import NetworkConfig
from trainer.runs import checkpoint
from trainer.runs.directory import BEST, DONE, put_json

SUMMARY: dict[str, Any] = {
    "patients": 60,
    "nodes": 400,
    "positives": 80,
    "unlabelled_patients": 3,
    "unlabelled_nodes": 20,
    "phantom": False,
    "phantom_patients": 0,
    "slice_mm": {"least": 1.25, "median": 3.0, "largest": 5.0},
    "split": "radiologist/seed 0/0123456789ab",
}


def finished_run(
    folder: Path, config: NetworkConfig = TINY, *, phantom: bool = False, **facts: Any
) -> Path:
    """Four folds with the same weights and the predictions of a binormal model."""
    write_run(folder, cohort())
    network = untrained(config, phantom_patches(16, np.random.default_rng(1)), 5)
    for fold in range(4):
        place = folder / f"fold-{fold}"
        checkpoint.save(place / BEST, checkpoint.weights_of(network), {})
        done = {"best_epoch": 2, "epochs": 2, "start": "none", "prior": 0.25}
        put_json(place / DONE, done)
    put_json(folder / FILE, SUMMARY | {"phantom": phantom})
    whole = {
        "stage": "supervised",
        "network": "2.5d",
        "config": config.model_dump(mode="json"),
        "profile": "scratch",
        "values": quick().model_dump(mode="json"),
        "reader": "radiologist",
        "split_seed": 0,
        "cohort_sha256": "0" * 64,
        "nodes": 420,
        "labelled": 400,
        "positive": 80,
        "pretrained": "none",
        "folds": 4,
    }
    (folder / "run.json").write_text(json.dumps(whole | facts))
    return folder
