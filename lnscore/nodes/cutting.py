"""Measure the regions of one scan and cut their patches: node records for the database."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from db.records import AnnotationRecord, NodeRecord
from engines.patch import SPEC
from engines.shapes import Masks, Patches
from lnscore.dicom.volume import Scan
from lnscore.errors import Refusal
from lnscore.masks.regions import Region
from lnscore.nodes.measuring import NodeMeasurements, mask_sha256, measure, tracking_uid
from lnscore.nodes.patches import Patch, cut_patch
from lnscore.nodes.station_map import StationMap, assign_stations

THICK = "G12"


@dataclass(frozen=True)
class CutNodes:
    """The nodes of one scan.

    Attributes:
        nodes: Node records, each with its index in the arrays.
        patches: HU, shape (node, 18, 80, 80); None without nodes.
        masks: Occupancy on the same grid, zero for a point; None if all nodes are points.
        refusals: Refusals of the regions that were left out.
    """

    nodes: list[NodeRecord]
    patches: Patches | None
    masks: Masks | None
    refusals: list[Refusal]


def cut_nodes(
    scan: Scan,
    found: Sequence[tuple[AnnotationRecord, Region]],
    stations: StationMap | None = None,
) -> CutNodes:
    """Measure every region and cut its patch.

    Args:
        scan: The scan.
        found: Regions with the file from which each came, newest file first.
        stations: Station map for nodes whose source states no station, or None.

    Returns:
        The nodes. Of two regions with the same tracking UID, the first is used.
    """
    kept: dict[str, tuple[AnnotationRecord, Region, NodeMeasurements]] = {}
    refusals = []
    for annotation, region in found:
        uid = region.tracking_uid or tracking_uid(
            scan.grid.series_uid, mask_sha256(region), region.label
        )
        if uid in kept:
            refusals.append(_twice(region, uid))
        else:
            kept[uid] = annotation, region, _measured(region, scan, stations)
    if not kept:
        return CutNodes([], None, None, refusals)
    patches = np.empty((len(kept), *SPEC.size_vox), np.int16)
    masks = np.zeros((len(kept), *SPEC.size_vox), np.uint8)
    nodes: dict[int, NodeRecord] = {}
    # In slice order, so that neighbouring nodes use the same decoded slices.
    order = sorted(enumerate(kept.items()), key=lambda item: item[1][1][2].centroid_mm[2])
    for index, (uid, (annotation, region, measured)) in order:
        centre_mm = np.array(measured.centroid_mm)
        patch = cut_patch(scan, centre_mm, region.mask, region.origin_vox)
        patches[index] = patch.hu
        if patch.occupancy is not None:
            masks[index] = patch.occupancy
        nodes[index] = _record(uid, annotation, region, measured, patch, index)
    has_mask = any(region.mask is not None for _, region, _ in kept.values())
    in_order = [nodes[index] for index in range(len(kept))]
    return CutNodes(in_order, patches, masks if has_mask else None, refusals)


def _measured(region: Region, scan: Scan, stations: StationMap | None) -> NodeMeasurements:
    measured = measure(region, scan.grid)
    if stations is None:
        return measured
    return assign_stations([region], [measured], stations, scan.grid)[0]


def _record(
    uid: str,
    annotation: AnnotationRecord,
    region: Region,
    measured: NodeMeasurements,
    patch: Patch,
    index: int,
) -> NodeRecord:
    thick = (THICK,) if patch.rule == "thick" else ()
    return NodeRecord(
        annotation_sha256=annotation.sha256,
        tracking_uid=uid,
        label=region.label,
        centroid_mm=measured.centroid_mm,
        patch_index=index,
        patch_sha256=hashlib.sha256(patch.hu.tobytes()).hexdigest(),
        patch_affine=patch.affine.tolist(),
        padded_fraction=patch.padded_fraction,
        bbox_vox=measured.bbox_vox,
        volume_mm3=measured.volume_mm3,
        short_axis_mm=measured.short_axis_mm,
        long_axis_mm=measured.long_axis_mm,
        station=measured.station,
        station_source=measured.station_source,
        station_candidates=measured.station_candidates,
        mask_sha256=mask_sha256(region) if region.mask is not None else None,
        warnings=sorted({*region.warnings, *measured.warnings, *thick}),
    )


def _twice(region: Region, uid: str) -> Refusal:
    return Refusal(
        "S15",
        f"'{region.label}' with tracking UID {uid} in two masks of the series",
        "one mask for each node",
        "Do nothing if the newer mask corrects the older one; otherwise remove one of them.",
    )
