"""Predictions of a binormal model whose AUROC is known, as nodes of patients in four folds."""

import json
from pathlib import Path

import numpy as np

from trainer.runs import predictions
from trainer.runs.predictions import TEST, VALIDATION, Predictions, concat, sigmoid

SEPARATION = 1.868  # of the two normals: AUROC .9068, the paper's supervised two-stream network
FOLDS = 4


def cohort(nodes: int = 400, patients: int = 60, prior: float = 0.2, seed: int = 0) -> dict:
    """Labels, patients, folds and measures; malignant nodes are larger."""
    random = np.random.default_rng(seed)
    patient = np.sort(random.integers(patients, size=nodes))
    label = (random.random(nodes) < prior).astype(np.int64)
    axis = np.exp(random.normal(1.9, 0.35, nodes) + 0.25 * label)
    return {
        "node_id": np.arange(nodes) + 1,
        "tracking_uid": np.array([f"2.25.{n}" for n in range(nodes)], dtype=object),
        "patient_id": patient,
        "fold": patient % FOLDS,
        "label": label,
        "short_axis_mm": axis,
        "long_axis_mm": 1.4 * axis,
        "volume_mm3": axis**3,
        "slice_mm": random.choice([1.25, 3.0, 5.0], nodes),
        "station": random.choice(np.array(["AJCC:2R", "AJCC:7", ""], dtype=object), nodes),
    }


def predicted(facts: dict, separation: float = SEPARATION, seed: int = 1) -> Predictions:
    """Test part of every fold, and as its validation part the next fold's patients."""
    return concat([fold_of(facts, fold, separation, seed) for fold in range(FOLDS)])


def fold_of(
    facts: dict, fold: int, separation: float = SEPARATION, seed: int = 1
) -> Predictions:  # fmt: skip
    """One fold's network: validation and test part."""
    nodes = len(facts["label"])
    noise = np.random.default_rng(seed).normal(size=nodes)
    logit = (noise + separation * facts["label"] - 2.0) * 1.5
    parts = []
    for part, of in ((VALIDATION, (fold + 1) % FOLDS), (TEST, fold)):
        chosen = facts["fold"] == of
        columns = {name: column[chosen] for name, column in facts.items()}
        size = int(chosen.sum())
        columns |= {
            "fold": np.full(size, fold),
            "part": np.full(size, part, dtype=object),
            "logit": logit[chosen],
            "probability": sigmoid(logit[chosen]),
            "local": np.full(size, np.nan),
            "global_": np.full(size, np.nan),
        }
        parts.append(Predictions(**columns))
    return concat(parts)


def write_run(
    folder: Path, facts: dict, separation: float = SEPARATION, seed: int = 1, **described: object
) -> Path:
    """A run folder as `lnscore train` leaves it, as far as evaluation reads it."""
    for fold in range(FOLDS):
        (folder / f"fold-{fold}").mkdir(parents=True)
        rows = fold_of(facts, fold, separation, seed)
        predictions.write(folder / f"fold-{fold}" / predictions.FILE, rows)
        log = [
            {"epoch": e, "loss": (0.7 + fold / 20) * 0.9**e}
            | ({"validation_auroc": 0.9 - fold / 50 - 0.4 * 0.8**e} if e % 5 == 4 else {})
            for e in range(20)
        ]
        lines = "".join(json.dumps(line) + "\n" for line in log)
        (folder / f"fold-{fold}" / "log.jsonl").write_text(lines)
    (folder / "run.json").write_text(json.dumps({"network": "two-stream", "folds": 4, **described}))
    return folder
