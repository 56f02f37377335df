"""A phantom patient's patches without DICOM: only the nodes' surroundings are rendered.

The same anatomy, nodes, pixels, slices and noise strength as the patient's CT files; the
grain of the noise alone is another.
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

MARGIN_MM = 3.0  # an outline's centroid is nearer than this to its phantom node's centre
REACH_MM = np.array(SPEC.size_vox)[::-1] / 2 * np.array(SPEC.spacing_mm)[::-1] + MARGIN_MM
"""From a node's centre to the border of its patch, x y z."""


@dataclass(frozen=True)
class CutNode:
    """One node as ingest would have it, beside the truth.

    Attributes:
        node: The phantom's own node.
        region: Its outline on the grid of the patient's CT files.
        measured: Place and axes of that outline.
        patch: HU, occupancy and placement.
    """

    node: PhantomNode
    region: Region
    measured: NodeMeasurements
    patch: Patch


@dataclass(frozen=True)
class ScanBox:
    """A box of the scan.

    Attributes:
        start_vox: Its first slice, row and column.
        slices: Its own slices and pixels.
    """

    start_vox: tuple[int, int, int]
    slices: SliceGrid

    def box(self, shape: tuple[int, ...]) -> tuple[slice, ...]:
        """Where an array of this shape lies in the scan."""
        return tuple(slice(i, i + n) for i, n in zip(self.start_vox, shape, strict=True))


@dataclass(frozen=True)
class RenderedScan:
    """A scan of which only what the patches need is rendered; the rest is 0."""

    grid: CtGrid
    volume_hu: np.ndarray

    def slice_hu(self, z: int, rows: slice, columns: slice) -> np.ndarray:
        """HU of a part of slice z."""
        return self.volume_hu[z, rows, columns]


def scan_grid(patient: PhantomPatient) -> CtGrid:
    """The grid of the patient's CT files."""
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
    """Render around the nodes, outline, measure and cut each one.

    Returns:
        In the order of the nodes' numbers.
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
    """What the patches of all nodes touch."""
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
    """The scan as stored, int16 HU; pages that nothing is written to take no memory."""
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
    """The node's mask on the whole scan; None where the scan does not reach it."""
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
