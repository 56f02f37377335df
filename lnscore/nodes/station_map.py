"""Read a label map of stations, and assign to each node its station or the nearest one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from db.records import StationKey
from lnscore.dicom.geometry import CtGrid
from lnscore.errors import Refusal
from lnscore.masks.label_maps import load_label_map
from lnscore.masks.legends import read_legend
from lnscore.masks.regions import Region
from lnscore.nodes.measuring import NodeMeasurements
from lnscore.stations.stated import parse_station, station_in

MAJORITY = 0.5
"""Part of a node's voxels that a station must contain to become the station of the node."""
NEAREST_MM = 5.0
_PAIRS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class StationMap:
    """Stations on the CT grid.

    Attributes:
        layers: Labels z y x, one array for each layer.
        stations: Station of every label, by (layer, label value).
    """

    layers: tuple[np.ndarray, ...]
    stations: dict[tuple[int, int], StationKey]


def read_station_map(path: Path, grid: CtGrid) -> StationMap:
    """Read a station map and the legend beside it.

    Args:
        path: A label map (see `label_maps`); `NAME.json` or `NAME.csv` states the station of
            each label as `SYSTEM:CODE`. A .seg.nrrd may state it in its segment names.
        grid: Grid of the CT.

    Raises:
        Refusal: The codes of `label_maps.load_label_map`; M09 a damaged legend; N06 a legend
            whose station is not `SYSTEM:CODE`; K04 labels without a station.
    """
    label_map = load_label_map(path, grid)
    stations = {(0, value): parse_station(text) for value, text in read_legend(path).items()}
    for place, name in (label_map.names or {}).items():
        if (station := station_in(name)[0]) and place not in stations:
            stations[place] = station
    there = {
        (layer, value)
        for layer, labels in enumerate(label_map.layers)
        for value in np.unique(labels[labels != 0]).tolist()
    }
    if nameless := sorted(there - set(stations)):
        raise Refusal(
            "K04",
            f"station map {path.name} has no station for label"
            f" {', '.join(str(value) for _, value in nameless[:5])}",
            "SYSTEM:CODE for every label, in NAME.json or NAME.csv beside the map",
            'Write the legend, as {"1": "AJCC8:4R"}',
        )
    return StationMap(label_map.layers, stations)


def assign_stations(
    regions: Sequence[Region],
    measured: Sequence[NodeMeasurements],
    stations: StationMap,
    grid: CtGrid,
) -> list[NodeMeasurements]:
    """Assign to every node its station and all candidate stations.

    A station stated by the node's own source is kept. Otherwise it is the station that contains
    at least `MAJORITY` of the node's voxels, otherwise the nearest one within `NEAREST_MM`
    (flagged N08; of several overlapping stations the one with the largest overlap), otherwise
    none.

    Args:
        regions: Masks or points.
        measured: Measurements of the same regions.
        stations: Station map on the CT grid.
        grid: Grid of the CT.

    Returns:
        `measured` with `station`, `station_source`, `station_candidates` and warnings.
    """
    return [
        _assign(region, one, stations, grid) for region, one in zip(regions, measured, strict=True)
    ]


def _assign(
    region: Region, measured: NodeMeasurements, stations: StationMap, grid: CtGrid
) -> NodeMeasurements:
    voxels = _voxels(region, grid)
    overlaps = _overlaps(voxels, stations)
    measured = replace(measured, station_candidates=[_candidate(*pair) for pair in overlaps])
    if measured.station:
        return measured
    if overlaps and overlaps[0][1] >= MAJORITY:
        return replace(measured, station=overlaps[0][0], station_source="overlap")
    nearest = overlaps[0][0] if overlaps else _nearest(voxels, stations, grid)
    if nearest is None:
        return measured
    warnings = (*measured.warnings, "N08")
    return replace(measured, station=nearest, station_source="nearest", warnings=warnings)


def _candidate(station: StationKey, overlap: float) -> dict[str, Any]:
    return {"system": station.system, "code": station.code, "overlap": round(overlap, 4)}


def _voxels(region: Region, grid: CtGrid) -> np.ndarray:
    """Return the CT indices of a node's voxels, shape (voxel, 3); for a point, its own voxel."""
    if region.mask is not None:
        return np.argwhere(region.mask) + region.origin_vox
    index = np.rint(grid.geometry.to_vox(np.array([region.centre_mm]))).astype(int)
    return index.clip(0, np.array(grid.geometry.shape) - 1)


def _overlaps(voxels: np.ndarray, stations: StationMap) -> list[tuple[StationKey, float]]:
    """Return the stations that contain a part of the node, the largest part first."""
    parts: dict[StationKey, float] = {}
    for layer, labels in enumerate(stations.layers):
        values, counts = np.unique(labels[tuple(voxels.T)], return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            if value:
                station = stations.stations[layer, value]
                parts[station] = parts.get(station, 0.0) + count / len(voxels)
    return sorted(parts.items(), key=lambda part: (-part[1], part[0].system, part[0].code))


def _nearest(voxels: np.ndarray, stations: StationMap, grid: CtGrid) -> StationKey | None:
    """Return the station whose voxel centre is nearest to any voxel centre of the node, or None."""
    # One step along an axis moves at least the distance between the grid planes of that axis.
    apart_mm = 1 / np.linalg.norm(grid.geometry.inverse[:3, :3], axis=1)
    reach = np.ceil(NEAREST_MM / apart_mm).astype(int)
    low = (voxels.min(axis=0) - reach).clip(0)
    high = voxels.max(axis=0) + reach + 1
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    found: list[tuple[float, str, StationKey]] = []
    for layer, labels in enumerate(stations.layers):
        near = labels[box]
        for value in np.unique(near[near != 0]).tolist():
            station = stations.stations[layer, value]
            distance_mm = _distance_mm(voxels, np.argwhere(near == value) + low, grid)
            found.append((distance_mm, station.code, station))
    found = [one for one in found if one[0] <= NEAREST_MM]
    return min(found, key=lambda one: one[:2])[2] if found else None


def _distance_mm(voxels: np.ndarray, others: np.ndarray, grid: CtGrid) -> float:
    """Return the smallest distance between two sets of voxel centres in mm."""
    here, there = grid.geometry.to_mm(voxels), grid.geometry.to_mm(others)
    at_once = max(1, _PAIRS_AT_ONCE // len(there))
    return min(
        float(np.linalg.norm(part[:, None] - there[None, :], axis=-1).min())
        for part in np.split(here, range(at_once, len(here), at_once))
    )
