"""Matches a label to its node: by tracking UID, or by the centroid that is near a point."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from db.node_places import NodePlace, SeriesPlaces
from lnscore.dicom.geometry import Geometry
from lnscore.labels.checking import LabelRow
from lnscore.masks.points import lps_mm
from lnscore.tables.messages import Message


@dataclass(frozen=True)
class Match:
    """A label and its node.

    Attributes:
        label: Row of the label.
        node: The only node that the label can mean.
        distance_mm: Distance from the point to the node's centroid; None if the node was found
            by tracking UID.
    """

    label: LabelRow
    node: NodePlace
    distance_mm: float | None = None

    @property
    def how(self) -> str:
        """How the node was found, as text for messages."""
        if self.distance_mm is None:
            return "by tracking UID"
        return f"{self.distance_mm:.1f} mm from its centroid"


class SeriesIndex:
    """Index of the current series of a database, by their UIDs and the UIDs of their nodes."""

    def __init__(self, series: Iterable[SeriesPlaces]) -> None:
        """Index the series."""
        self._by_uid: dict[str, list[SeriesPlaces]] = defaultdict(list)
        self._by_node: dict[str, list[SeriesPlaces]] = defaultdict(list)
        for one in series:
            # One DICOM series may be stored as several (`UID#...`); a point may be in any of them.
            for uid in {one.study_uid, one.series_uid, one.series_uid.split("#")[0]}:
                self._by_uid[uid].append(one)
            for node in one.nodes:
                self._by_node[node.tracking_uid].append(one)

    def of(self, label: LabelRow) -> list[SeriesPlaces] | Message:
        """Return the series that a label may be in, or L03."""
        found = None
        for column in ("study_uid", "series_uid"):
            uid = getattr(label, column)
            if not uid:
                continue
            mine = [one for one in self._by_uid.get(uid, ()) if _is(one, column, uid)]
            found = mine if found is None else [one for one in mine if one in found]
            if not found:
                return _error(label, "L03", f"the database has no series of {uid}", column)
        return self._by_node.get(label.tracking_uid, []) if found is None else found


def _is(series: SeriesPlaces, column: str, uid: str) -> bool:
    return (series.study_uid == uid) == (column == "study_uid")


def match(label: LabelRow, scans: SeriesIndex, tolerance_mm: float) -> Match | Message:
    """Find the only node that a label can mean.

    Args:
        label: Row of the label.
        scans: Index of the series and their nodes.
        tolerance_mm: Largest distance from the point to the centroid; a node at exactly this
            distance is accepted.

    Returns:
        The node, or the error that says why there is none: L01, L02, L03 or L05.
    """
    series = scans.of(label)
    if isinstance(series, Message):
        return series
    if label.tracking_uid:
        return _named(label, series)
    point_mm = _point_mm(label, series)
    if isinstance(point_mm, Message):
        return point_mm
    nodes = [node for one in series for node in one.nodes]
    return _nearest(label, point_mm, nodes, tolerance_mm)


def twice(matches: Sequence[Match]) -> list[Message]:
    """Return an error for every label of a node that the same reader has in an earlier row."""
    first: dict[tuple[str, int], Match] = {}
    messages = []
    for one in matches:
        earlier = first.setdefault((one.label.reader, one.node.node_id), one)
        if earlier is not one:
            text = (
                f"reader '{one.label.reader}' labels node {one.node.tracking_uid} twice: "
                f"here ({one.how}) and in row {earlier.label.row} ({earlier.how})"
            )
            messages.append(_error(one.label, "L02", text))
    return messages


def _named(label: LabelRow, series: Sequence[SeriesPlaces]) -> Match | Message:
    uid = label.tracking_uid
    held = [(one, node) for one in series for node in one.nodes if node.tracking_uid == uid]
    if not held:
        text = f"no current series that fits the row has a node {uid}"
        return _error(label, "L03", text, "tracking_uid")
    if len(held) > 1:
        where = ", ".join(one.series_uid for one, _ in held)
        text = f"node {uid} is in {len(held)} series ({where}); name one in series_uid"
        return _error(label, "L02", text, "tracking_uid")
    return Match(label, held[0][1])


def _point_mm(label: LabelRow, series: Sequence[SeriesPlaces]) -> np.ndarray | Message:
    """Return the point in LPS mm, or L05 if its frame of reference is not certain."""
    geometry = _geometry(series[0])
    if label.coord == "IJK" and (len(series) > 1 or geometry is None):
        found = f"{len(series)} series fit" if len(series) > 1 else "the series has no known grid"
        text = f"IJK coordinates count voxels of one series, but {found}; name the series"
        return _error(label, "L05", text, "series_uid")
    frames = {one.for_uid for one in series if one.nodes or one.for_uid}
    if len(frames) > 1 or (len(series) > 1 and not all(frames)):
        known = f"{len(frames)} frames" if all(frames) else "series without a frame"
        text = f"the study has {known} of reference; name the point's series"
        return _error(label, "L05", text, "series_uid")
    written = np.array([label.point], float)
    return lps_mm(written, label.coord, geometry)[0]


def _geometry(series: SeriesPlaces) -> Geometry | None:
    stored = series.geometry or {}
    if "affine" not in stored:
        return None
    rows, columns, slices = stored["shape"]
    return Geometry(np.array(stored["affine"], float), (rows, columns, slices))


def _nearest(
    label: LabelRow, point_mm: np.ndarray, nodes: Sequence[NodePlace], tolerance_mm: float
) -> Match | Message:
    x, y, z = point_mm
    place = f"({x:.1f}, {y:.1f}, {z:.1f}) mm LPS"
    if not nodes:
        return _error(label, "L01", f"{place}: the scan has no node", "x, y, z")
    apart_mm = np.linalg.norm(np.array([node.centroid_mm for node in nodes]) - point_mm, axis=1)
    order = np.argsort(apart_mm, kind="stable")
    near = [f"{nodes[i].tracking_uid} at {apart_mm[i]:.1f} mm" for i in order[:2]]
    within = int((apart_mm <= tolerance_mm).sum())
    if within == 0:
        text = f"{place}: no node within {tolerance_mm:g} mm; the nearest is {near[0]}"
        return _error(label, "L01", text, "x, y, z")
    if within > 1:
        text = (
            f"{place}: {within} nodes within {tolerance_mm:g} mm ({', '.join(near)}"
            f"{', ...' if within > 2 else ''}); name one by its tracking_uid"
        )
        return _error(label, "L02", text, "x, y, z")
    return Match(label, nodes[order[0]], float(apart_mm[order[0]]))


def _error(label: LabelRow, code: str, text: str, column: str = "") -> Message:
    return Message(code, "E", text, label.row, column)
