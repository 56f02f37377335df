"""Find the nodes that an engine was tested on in the database, and score them again.

`lnscore.engine_commands.promotion` and `lnscore.engine_commands.accuracy` check an engine on them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from db import cohort as cohort_rows
from db import scores as score_rows
from db import splits
from db.cohort import CohortNode
from db.patchstore import PatchStore
from db.scores import NodeToScore
from db.session import Database
from engines.errors import EngineError
from engines.protocol import Engine
from engines.shapes import Probabilities
from lnscore.scoring.batches import read_batches
from lnscore.settings import Settings
from trainer.evaluation import held_out, metrics
from trainer.evaluation.held_out import HeldOut


@dataclass(frozen=True)
class HeldOutNodes:
    """Held-out nodes with their labels (0 or 1) and patient ids, arrays of shape (node,)."""

    rows: Sequence[NodeToScore]
    label: np.ndarray
    patient: np.ndarray


def find(database: Database, held: HeldOut) -> HeldOutNodes:
    """Find the held-out nodes of an engine by split, fold and reader, and check their hash.

    Raises:
        EngineError: E20 the split is not in the database, or now holds other nodes or labels.
    """
    with database.read() as session:
        split = splits.find(session, held.split)
        folds = [] if split is None else splits.members(session, split)
        parts = folds[held.fold] if held.fold < len(folds) else {}
        labels = cohort_rows.labels(session, held.reader)
        rows = {row.node_id: row for row in score_rows.to_score(session, None)}
        nodes = [
            node
            for node in cohort_rows.nodes(session)
            if parts.get(node.patient_id) == "test" and node.node_id in labels
        ]
    _check(held, nodes, labels)
    return HeldOutNodes(
        [rows[node.node_id] for node in nodes],
        np.array([labels[node.node_id] for node in nodes]),
        np.array([node.patient_id for node in nodes]),
    )


def _check(held: HeldOut, nodes: Sequence[CohortNode], labels: dict[int, int]) -> None:
    digest = held_out.digest((node.tracking_uid, labels[node.node_id]) for node in nodes)
    if digest != held.sha256:
        positives = sum(labels[node.node_id] for node in nodes)
        raise EngineError(
            "E20",
            f"{len(nodes)} labelled nodes ({positives} malignant) in the test part of fold "
            f"{held.fold} of split '{held.split}'",
            f"the {held.nodes} ({held.positives} malignant) that the engine was tested on",
            "Name the database that it was trained on with --db; if labels or scans have "
            "changed since, train again.",
        )


def scored(engine: Engine, nodes: HeldOutNodes, settings: Settings) -> Probabilities:
    """Score the nodes; return their raw fused probabilities, shape (node,).

    Raises:
        Refusal: A stored patch cannot be used.
    """
    store, parts = PatchStore(settings.store_root), []
    for batch in read_batches(nodes.rows, store, engine.batch_nodes):
        for _, refusal in batch.refused:
            raise refusal
        parts.append(engine.score(batch.patches).fused)
    return np.concatenate(parts)


def auroc(label: np.ndarray, probability: np.ndarray) -> float:
    """Return the AUROC of probabilities for nodes with these labels, 0 or 1."""
    return float(metrics.auroc(metrics.count(label, probability))[0])
