"""Cut the patches of a phantom patient without DICOM; only the surroundings of nodes are rendered.

Anatomy, nodes, pixels, slices and noise strength are the same as in the patient's CT files; only
the noise pattern differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.patch import SPEC
from lnscore.dicom.geometry import CtGrid, Geometry
from lnscore.masks.regions import Region, crop
from lnscore.nodes.measuring import NodeMeasurements, measure
from lnscore.nodes.patches import Patch, cut_patch
from lnscore.phantom.dicom_seg import segment_label
from lnscore.phantom.node_field import PaintedNode, PhantomNode
from lnscore.phantom.patients import NOISE_STREAM, PhantomPatient
from lnscore.phantom.render import SliceGrid, paint_nodes, render
from lnscore.phantom.wall import Raster
from lnscore.stations.stated import station_in

MARGIN_MM = 3.0  # the centroid of a mask is closer than this to the centre of its phantom node
REACH_MM = np.array(SPEC.size_vox)[::-1] / 2 * np.array(SPEC.spacing_mm)[::-1] + MARGIN_MM
"""Distance in mm from the centre of a node to the border of its patch, x y z."""


@dataclass(frozen=True)
class CutNode:
    """One node as ingest would cut it, with the true phantom node.

    Attributes:
        node: The phantom node.
        region: Mask of the node on the grid of the patient's CT files.
        measured: Measurements of that mask.
        patch: Patch with HU, occupancy and affine.
    """

    node: PhantomNode
    region: Region
    measured: NodeMeasurements
    patch: Patch


@dataclass(frozen=True)
class ScanBox:
    """A box of the scan.

    Attributes:
        start_vox: First slice, row and column of the box in the scan.
        slices: Slices and pixels of the box.
    """

    start_vox: tuple[int, int, int]
    slices: SliceGrid

    def box(self, shape: tuple[int, ...]) -> tuple[slice, ...]:
        """Return the slices of the scan that an array of this shape covers."""
        return tuple(slice(i, i + n) for i, n in zip(self.start_vox, shape, strict=True))


@dataclass(frozen=True)
class RenderedScan:
    """A scan in which only the voxels that patches need are rendered; all others are 0."""

    grid: CtGrid
    volume_hu: np.ndarray

    def slice_hu(self, z: int, rows: slice, columns: slice) -> np.ndarray:
        """Return HU of a part of slice z."""
        return self.volume_hu[z, rows, columns]


def scan_grid(patient: PhantomPatient) -> CtGrid:
    """Return the grid of the patient's CT files."""
    raster, scan = patient.scan.slices.raster, patient.scan
    shape = (scan.count, len(raster.y_mm), len(raster.x_mm))
    return CtGrid(
        study_uid=patient.uid("study"),
        series_uid=patient.uid("ct"),
        for_uid=patient.uid("frame"),
        sop_uids=tuple(patient.uid(f"ct/{z}") for z in range(scan.count)),
        geometry=Geometry(scan.affine, shape),
    )


def cut_nodes(patient: PhantomPatient) -> list[CutNode]:
    """Render the surroundings of the nodes, and outline, measure and cut each node.

    Returns:
        The cut nodes in the order of their numbers.
    """
    part = _surroundings(patient)
    painted = paint_nodes(patient.nodes, part.slices)
    scan = RenderedScan(scan_grid(patient), _rendered(patient, part, painted))
    cuts = []
    for node, paint in zip(patient.nodes, painted, strict=True):
        region = _outline(patient, node, paint, part)
        if region is not None:
            measured = measure(region, scan.grid)
            centre_mm = np.array(measured.centroid_mm)
            patch = cut_patch(scan, centre_mm, region.mask, region.origin_vox)
            cuts.append(CutNode(node, region, measured, patch))
    return cuts


def _surroundings(patient: PhantomPatient) -> ScanBox:
    """Return the box of the scan that the patches of all nodes touch."""
    whole = patient.scan.slices
    centres = np.array([node.centre_mm for node in patient.nodes])
    (x0, y0, z0), (x1, y1, z1) = centres.min(axis=0) - REACH_MM, centres.max(axis=0) + REACH_MM
    more = whole.thickness_mm
    low, high = (int(i) for i in np.searchsorted(whole.z_mm, (z0 - more, z1 + more)))
    rows, columns = whole.raster.part((x0, x1, y0, y1), MARGIN_MM)
    raster = Raster(whole.raster.y_mm[rows], whole.raster.x_mm[columns])
    return ScanBox(
        (low, rows.start, columns.start),
        SliceGrid(whole.z_mm[low:high], raster, whole.thickness_mm),
    )


def _rendered(
    patient: PhantomPatient, part: ScanBox, painted: Sequence[PaintedNode | None]
) -> np.ndarray:
    """Render the scan as int16 HU; parts of the array that are never written use no memory."""
    raster = patient.scan.slices.raster
    volume = np.zeros((patient.scan.count, len(raster.y_mm), len(raster.x_mm)), np.int16)
    rng = patient.stream(NOISE_STREAM)
    planes = render(patient.chest, painted, part.slices, patient.scan.exposure, rng)
    first = part.start_vox[0]
    for z, hu in enumerate(planes, start=first):
        volume[z][part.box((0, *hu.shape))[1:]] = np.rint(hu)
    return volume


def _outline(
    patient: PhantomPatient, node: PhantomNode, painted: PaintedNode | None, part: ScanBox
) -> Region | None:
    """Return the region of a node on the whole scan; None if the scan does not reach the node."""
    if painted is None:
        return None
    corner = (painted.slices.start, painted.rows.start, painted.columns.start)
    z, y, x = (a + b for a, b in zip(corner, part.start_vox, strict=True))
    held = crop(painted.mask, (z, y, x))
    if held is None:
        return None
    label = segment_label(node)
    return Region(
        label=label,
        number=node.number,
        mask=held[0],
        origin_vox=held[1],
        tracking_uid=patient.uid(f"node/{node.number}"),
        station=station_in(label)[0],
    )
