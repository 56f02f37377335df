"""The unlabelled nodes and the pathology status of their stations.

Only series of unlabelled patients are read: the status of a patient in the training (with
labels), validation or test part is never read. The nodes are read once, before the first step,
and are the same in all folds.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from db import labels, station_status
from db.cohort import CohortNode
from db.session import Session
from db.station_rule import StationStatus
from trainer.data.cohort import UNLABELLED, Cohort
from trainer.data.folds import UNLABELLED_PART, Fold
from trainer.errors import TrainerError
from trainer.semi_supervised.config import SslConfig
from trainer.semi_supervised.sharpen import BENIGN, MALIGNANT, UNKNOWN

CODES = {"malignant": MALIGNANT, "benign": BENIGN, "unknown": UNKNOWN}
SCATTERED = ("candidates_agree", "crosswalk_overlaps")
"""Rules for a station's status with which the positive node may be outside its nodes."""


@dataclass(frozen=True, kw_only=True)
class Unlabelled:
    """The unlabelled nodes; arrays of shape (node,).

    Attributes:
        index: Index of the node in the cohort.
        status: Status of its station: 1 malignant, 0 benign, -1 unknown.
        station: Id of the station (or of stations reported together), unique per patient and
            study; -1 if its status is unknown.
        whole: Whether the positive node must be among the station's nodes.
        weak: Whether the station is malignant only as a member of a merged or overlapping group.
        truth: Labels for the 'all labels' row, -1 for none; None in every other run.
        excluded: Number of excluded nodes by code (P09, P10).
    """

    index: np.ndarray
    status: np.ndarray
    station: np.ndarray
    whole: np.ndarray
    weak: np.ndarray
    truth: np.ndarray | None
    excluded: dict[str, int]

    @property
    def bags(self) -> np.ndarray:
        """Station ids for `top1`; -1 if the positive node may not be segmented."""
        return np.where(self.whole, self.station, -1)

    def counts(self) -> dict[str, int]:
        """Return the number of nodes by station status, for the record of the run."""
        named = {name: int((self.status == code).sum()) for name, code in CODES.items()}
        return {"nodes": len(self.index), **named, **self.excluded}

    def digest(self) -> str:
        """Return a SHA-256 over nodes and stations; a run is only resumed if it is the same."""
        truth = self.index[:0] if self.truth is None else self.truth
        columns = self.index, self.status, self.bags, self.weak, truth
        return hashlib.sha256(
            b"|".join(one.astype(np.int64).tobytes() for one in columns)
        ).hexdigest()


def read(session: Session, cohort: Cohort, fold: Fold, config: SslConfig) -> Unlabelled:
    """Read the nodes of unlabelled patients, without those that P09 or P10 excludes.

    Args:
        session: Database session on a snapshot.
        cohort: Cohort with all nodes.
        fold: Any fold; the unlabelled patients are the same in all of them.
        config: Configuration; it names the truth reader and the disturbances of station status.

    Raises:
        TrainerError: T50 too few unlabelled nodes; T51 the truth reader gave no labels.
    """
    index = fold.nodes(cohort, UNLABELLED_PART)
    nodes = [cohort.nodes[i] for i in index]
    series = sorted({node.series_id for node in nodes})
    told = station_status.statuses(session, series_ids=series) if series else {}
    known = described(index, nodes, told)
    if len(known.index) < config.unlabelled_batch:
        raise TrainerError(
            "T50",
            f"{len(known.index)} unlabelled nodes ({sum(known.excluded.values())} excluded)",
            f"at least {config.unlabelled_batch}, a step's",
            "Ingest patients without labels, or use --set unlabelled_batch=N.",
        )
    if config.truth_reader is not None:
        known = replace(known, truth=_truth(session, cohort, known.index, config.truth_reader))
    return disturb(known, config)


def described(
    index: np.ndarray, nodes: Sequence[CohortNode], told: Mapping[int, StationStatus]
) -> Unlabelled:
    """Combine nodes with the status of their stations, without the excluded nodes.

    Args:
        index: Indices of the nodes in the cohort, shape (node,).
        nodes: The same nodes as database rows.
        told: Station status by node id.
    """
    found = [told.get(node.node_id, StationStatus("unknown", "absent")) for node in nodes]
    kept = [place for place, one in enumerate(found) if not one.excluded]
    excluded = Counter(code for one in found for code in one.excluded)
    return Unlabelled(
        index=index[kept],
        status=np.array([CODES[found[place].status] for place in kept], np.int8),
        station=_numbered([_station(nodes[place], found[place]) for place in kept]),
        whole=np.array([found[place].rule not in SCATTERED for place in kept], bool),
        weak=np.array([found[place].weak for place in kept], bool),
        truth=None,
        excluded=dict(sorted(excluded.items())),
    )


def _station(node: CohortNode, found: StationStatus) -> tuple[object, ...] | None:
    """Return a key of the node's station: nodes with the same findings share a station.

    Stations that were sent to pathology together count as one.
    """
    if found.status == "unknown":
        return None
    return node.patient_id, node.study_uid, found.status, found.findings


def _numbered(keys: Sequence[tuple[object, ...] | None]) -> np.ndarray:
    numbers = {key: number for number, key in enumerate(dict.fromkeys(filter(None, keys)))}
    return np.array([-1 if key is None else numbers[key] for key in keys], np.int64)


def disturb(known: Unlabelled, config: SslConfig) -> Unlabelled:
    """Disturb the status of stations, for experiments: shuffle, then invert, then forget.

    Whole stations are changed, so that nodes of one station still agree.
    """
    shares = config.station_shuffle, config.station_noise, config.station_drop
    stations = known.station.max(initial=-1) + 1
    if not any(shares) or not stations:
        return known
    rng = np.random.default_rng([config.station_seed, stations])
    told, place = known.station >= 0, known.station
    status, weak = np.zeros(stations, np.int8), np.zeros(stations, bool)
    status[place[told]], weak[place[told]] = known.status[told], known.weak[told]
    shuffled, turned, forgotten = (
        rng.permutation(stations)[: round(share * stations)] for share in shares
    )
    donors = rng.permutation(shuffled)
    status[shuffled], weak[shuffled] = status[donors], weak[donors]
    status[turned] = 1 - status[turned]
    status[forgotten] = UNKNOWN
    return replace(
        known,
        status=np.where(told, status[place], UNKNOWN).astype(np.int8),
        weak=told & weak[place],
        station=np.where(told & (status[place] != UNKNOWN), place, -1),
    )


def _truth(session: Session, cohort: Cohort, index: np.ndarray, reader: str) -> np.ndarray:
    """Read the labels of these nodes only."""
    ids = [cohort.nodes[i].node_id for i in index]
    told = labels.said_before(session, ids)
    found = {node: value for (node, who), value in told.items() if who == reader}
    if not found:
        raise TrainerError(
            "T51",
            f"no labels of unlabelled patients' nodes by reader '{reader}'",
            "a reader who knows them",
            "Name another --set truth_reader=READER.",
        )
    return np.array([found.get(node_id, UNLABELLED) for node_id in ids], np.int8)
