"""Measure nodes: position, size and warnings; and name nodes by a tracking UID."""

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np

from db.records import StationKey
from lnscore.dicom.geometry import CtGrid
from lnscore.masks.components import MIN_VOLUME_MM3, label_components
from lnscore.masks.regions import Region
from lnscore.nodes.axes import axial_axes_mm

MAX_VOLUME_MM3 = 30_000.0
"""Volume of a ball of 39 mm diameter; larger masks are masses or several nodes."""
MAX_ELONGATION = 2.2
"""Largest ratio of longest to middle principal spread; two equal balls side by side have 2.45."""


@dataclass(frozen=True, kw_only=True)
class NodeMeasurements:
    """Position, size and station of a node.

    Attributes:
        centroid_mm: Centroid in LPS x y z; for a point, the point itself.
        bbox_vox: First voxel and end (exclusive), CT index z y x. None for a point; its volume
            and axes are None, too.
        volume_mm3: Number of voxels times the volume of a voxel.
        short_axis_mm: Short axis (see `axes`).
        long_axis_mm: Long axis (see `axes`).
        station: Station stated by the region, or from a station map (`assign_stations`).
        station_source: `explicit`, `overlap`, `nearest` or `unassigned`.
        station_candidates: `{"system", "code", "overlap"}`, largest overlap first.
        warnings: Codes of the region itself, N01 to N04, and N08 from a station map.
    """

    centroid_mm: tuple[float, float, float]
    bbox_vox: list[list[int]] | None = None
    volume_mm3: float | None = None
    short_axis_mm: float | None = None
    long_axis_mm: float | None = None
    station: StationKey | None = None
    station_source: str = "unassigned"
    station_candidates: list[dict[str, Any]] | None = None
    warnings: tuple[str, ...] = ()


def measure(region: Region, grid: CtGrid) -> NodeMeasurements:
    """Measure a region on its CT.

    Args:
        region: Region with a mask of at least one voxel, or a point.
        grid: Grid of the CT.
    """
    source = "explicit" if region.station else "unassigned"
    if region.mask is None:
        return NodeMeasurements(
            centroid_mm=region.centre_mm or (0.0, 0.0, 0.0),
            station=region.station,
            station_source=source,
            warnings=region.warnings,
        )
    mask, geometry = region.mask, grid.geometry
    voxels = np.argwhere(mask) + region.origin_vox
    centre = geometry.to_mm(voxels.mean(axis=0, keepdims=True))[0].tolist()
    low, high = voxels.min(axis=0).tolist(), (voxels.max(axis=0) + 1).tolist()
    volume_mm3 = len(voxels) * geometry.voxel_mm3
    long_mm, short_mm = axial_axes_mm(mask, region.origin_vox, geometry)
    warnings = (
        ("N01", label_components(voxels).any()),
        ("N02", min(low) == 0 or any(np.equal(high, geometry.shape))),
        ("N03", volume_mm3 < MIN_VOLUME_MM3),
        ("N04", volume_mm3 > MAX_VOLUME_MM3 or _elongation(voxels, grid) > MAX_ELONGATION),
    )
    return NodeMeasurements(
        centroid_mm=(centre[0], centre[1], centre[2]),
        bbox_vox=[low, high],
        volume_mm3=volume_mm3,
        short_axis_mm=short_mm,
        long_axis_mm=long_mm,
        station=region.station,
        station_source=source,
        warnings=region.warnings + tuple(code for code, true in warnings if true),
    )


def mask_sha256(region: Region) -> str:
    """Hash the voxels of a region with their position on the CT grid, or the centre of a point."""
    if region.mask is None:
        return hashlib.sha256(json.dumps(region.centre_mm).encode()).hexdigest()
    place = json.dumps([region.origin_vox, region.mask.shape]).encode()
    return hashlib.sha256(place + np.packbits(region.mask).tobytes()).hexdigest()


def tracking_uid(series_uid: str, mask_hash: str, label: str) -> str:
    """Make the tracking UID of a node without one; the same mask always gets the same UID.

    Args:
        series_uid: SeriesInstanceUID of the CT.
        mask_hash: Hash from `mask_sha256`.
        label: Label of the region.

    Returns:
        A UUIDv5 as a UID under 2.25 (PS3.5 B.2).
    """
    name = json.dumps([series_uid, mask_hash, label])
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"


def _elongation(voxels: np.ndarray, grid: CtGrid) -> float:
    """Return the ratio of the longest to the middle spread of the voxels, voxel size included."""
    steps_mm = grid.geometry.affine[:3, :3]
    centred = (voxels - voxels.mean(axis=0)) @ steps_mm.T
    spread = centred.T @ centred / len(voxels) + steps_mm @ steps_mm.T / 12
    _, middle, longest = np.linalg.eigvalsh(spread)
    return float(np.sqrt(longest / middle))
