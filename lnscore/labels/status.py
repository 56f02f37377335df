"""`lnscore labels status`: count labels by reader, and show their agreement and consensus."""

from collections import Counter
from contextlib import closing
from dataclasses import asdict
from typing import Any

from db import labels
from db.labels import ReaderLabel
from db.session import open_database
from lnscore.labels import agreement
from lnscore.labels.agreement import ReaderPair
from lnscore.settings import Settings
from lnscore.summary import Answer, ShownTable

SHOWN = 20
"""Number of nodes with different labels that are printed; `--json` has all."""


def run(settings: Settings, rule: str) -> Answer:
    """Summarise the labels of the current nodes.

    Args:
        settings: Settings with the path of the database.
        rule: Consensus rule, or the name of a reader.

    Raises:
        DatabaseError: D19, there is no such rule or reader; or the database cannot be used.
    """
    with closing(open_database(settings.db)) as database, database.read() as session:
        readings = labels.readings(session)
    agreed = labels.agreed(readings, rule)
    return Answer(_shown(readings, agreed, rule), _document(readings, agreed, rule))


def _shown(
    readings: list[ReaderLabel], agreed: dict[int, int], rule: str
) -> list[str | ShownTable]:
    if not readings:
        return ["no labels; import them with: lnscore labels import FILE"]
    rows = [[name, *map(str, counts.values())] for name, counts in _readers(readings).items()]
    shown: list[str | ShownTable] = [
        ShownTable("Readers", ["reader", "nodes", "malignant", "benign"], rows)
    ]
    if pairs := agreement.pairs(readings):
        columns = ["reader", "and", "nodes of both", "alike", "Cohen's kappa"]
        shown.append(ShownTable("Agreement", columns, [_pair(pair) for pair in pairs]))
    counts = _consensus(readings, agreed)
    consensus = (
        f"consensus '{rule}': {counts['malignant']} malignant, {counts['benign']} benign, "
        f"{counts['none']} labelled but without consensus"
    )
    return [*shown, *_disagreements(agreement.disagreements(readings)), consensus]


def _document(readings: list[ReaderLabel], agreed: dict[int, int], rule: str) -> dict[str, Any]:
    return {
        "readers": _readers(readings),
        "pairs": [asdict(pair) for pair in agreement.pairs(readings)],
        "disagreements": [
            {
                "study_uid": said[0].study_uid,
                "tracking_uid": said[0].tracking_uid,
                "values": {one.reader: one.value for one in said},
            }
            for said in agreement.disagreements(readings)
        ],
        "consensus": {"rule": rule} | _consensus(readings, agreed),
    }


def _readers(readings: list[ReaderLabel]) -> dict[str, dict[str, int]]:
    nodes = Counter(one.reader for one in readings)
    malignant = Counter(one.reader for one in readings if one.value)
    return {
        name: {
            "nodes": nodes[name],
            "malignant": malignant[name],
            "benign": nodes[name] - malignant[name],
        }
        for name in sorted(nodes)
    }


def _consensus(readings: list[ReaderLabel], agreed: dict[int, int]) -> dict[str, int]:
    malignant = sum(agreed.values())
    labelled = len({one.node_id for one in readings})
    return {
        "malignant": malignant,
        "benign": len(agreed) - malignant,
        "none": labelled - len(agreed),
    }


def _pair(pair: ReaderPair) -> list[str]:
    figure = "not defined" if pair.kappa is None else f"{pair.kappa:.3f}"
    return [pair.first, pair.second, str(pair.both), str(pair.same), figure]


def _disagreements(nodes: list[list[ReaderLabel]]) -> list[str | ShownTable]:
    if not nodes:
        return []
    rows = [
        [
            labels_of_node[0].study_uid,
            labels_of_node[0].tracking_uid,
            ", ".join(one.reader for one in labels_of_node if one.value),
            ", ".join(one.reader for one in labels_of_node if not one.value),
        ]
        for labels_of_node in nodes[:SHOWN]
    ]
    columns = ["study", "tracking UID", "malignant", "benign"]
    count = "1 node" if len(nodes) == 1 else f"{len(nodes)} nodes"
    more = [f"and {len(nodes) - SHOWN} more; --json lists all"] if len(nodes) > SHOWN else []
    return [ShownTable(f"Readers differ on {count}", columns, rows), *more]
