"""Read label maps (NIfTI, NRRD, Slicer's .seg.nrrd) as regions on the CT grid.

A label map has no frame of reference that could be compared, so its grid must be the CT's grid.
Mirrored axes or another order of axes are allowed and are turned back exactly, without
interpolation. ITK gives every format in LPS mm.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lnscore.dicom.geometry import CtGrid
from lnscore.errors import Refusal
from lnscore.masks.alignment import Alignment, align
from lnscore.masks.components import split_components
from lnscore.masks.legends import read_legend
from lnscore.masks.regions import MAX_REGIONS, AnnotatedFile, Region, from_voxels
from lnscore.stations.stated import station_in

if TYPE_CHECKING:
    import SimpleITK as sitk

MAX_LAYERS = 64
"""Largest number of layers of a .seg.nrrd with overlapping segments."""
MAX_LABEL = 2**31 - 1
MAX_LABELLED = 0.5
"""Largest part of all voxels with a label; a file with more is an image, not a map of nodes."""


@dataclass(frozen=True)
class LabelMap:
    """The labels of one file on the CT grid.

    Attributes:
        layers: Whole numbers z y x on the CT grid, one array for each layer.
        names: Segment names by (layer, label value); None if the file does not list segments.
    """

    layers: tuple[np.ndarray, ...]
    names: dict[tuple[int, int], str] | None


def read_label_map(path: Path, grid: CtGrid) -> AnnotatedFile:
    """Read the labels of a file as candidate nodes.

    Args:
        path: `.nii`, `.nii.gz`, `.nrrd`, `.nhdr` or `.seg.nrrd`; a legend may lie beside it.
        grid: Grid of the CT.

    Returns:
        One region for each label or segment. A map with a single label and no list of
        segments holds all nodes in one label; it is split into its 26-connected components.

    Raises:
        Refusal: M01 cannot be read; M04 another grid; M05 values that are not labels; M06
            too many labels; M09 a damaged legend; N09 all components are too small.
    """
    label_map = load_label_map(path, grid)
    names = label_map.names or {(0, value): name for value, name in read_legend(path).items()}
    regions = [
        _region(value, names.get((layer, value)), voxels)
        for layer, labels in enumerate(label_map.layers)
        for value, voxels in _labelled(labels)
    ]
    details = {"labels": len(regions), "layers": len(label_map.layers)}
    if len(regions) == 1 and label_map.names is None:
        regions = list(split_components(regions[0], grid))
        details["components"] = len(regions)
    return AnnotatedFile(tuple(regions), details=details)


def load_label_map(path: Path, grid: CtGrid) -> LabelMap:
    """Read the labels of a file onto the CT grid.

    Raises:
        Refusal: M01, M04, M05.
    """
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        alignment = _alignment(reader, path, grid)  # before any pixels are unpacked
        _refuse_cut_short(path, reader)
        stored = sitk.GetArrayViewFromImage(image := reader.Execute())
        layers = [_whole(stored[..., None] if stored.ndim == 3 else stored, path)]
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise _unreadable(path, f"ITK says: {reason}") from error
    turned = [alignment.turn(layers[0][..., layer]) for layer in range(layers[0].shape[-1])]
    keys = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    return LabelMap(tuple(turned), _segment_names(keys))


def _alignment(reader: "sitk.ImageFileReader", path: Path, grid: CtGrid) -> Alignment:
    if reader.GetDimension() != 3:
        raise _unreadable(path, f"it has {reader.GetDimension()} dimensions")
    if reader.GetNumberOfComponents() > MAX_LAYERS:
        raise _unreadable(path, f"it has {reader.GetNumberOfComponents()} layers")
    direction = np.array(reader.GetDirection()).reshape(3, 3)
    steps_mm = (direction * reader.GetSpacing())[:, ::-1]  # array axes run z y x
    sizes = tuple(reader.GetSize()[::-1])
    alignment = align(steps_mm, sizes, grid.geometry)
    origin_vox = grid.geometry.to_vox(np.array([reader.GetOrigin()]))[0]
    if alignment is None or not alignment.covers(sizes, origin_vox):
        raise _other_grid(path, steps_mm, sizes, np.array(reader.GetOrigin()), grid)
    return alignment


def _refuse_cut_short(path: Path, reader: "sitk.ImageFileReader") -> None:
    """Refuse a truncated NIfTI: ITK would fill the missing bytes with zeros without a warning."""
    if not reader.HasMetaDataKey("vox_offset"):
        return
    voxels = int(np.prod(reader.GetSize()))
    wanted = (
        int(float(reader.GetMetaData("vox_offset")))
        + voxels * int(reader.GetMetaData("bitpix")) // 8
    )
    found = 0
    try:
        with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "rb") as file:
            while found < wanted and (part := file.read(min(1 << 20, wanted - found))):
                found += len(part)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, str(error)) from error
    if found < wanted:
        raise _unreadable(path, f"{wanted - found} of {wanted} bytes are missing")


def _other_grid(
    path: Path, steps_mm: np.ndarray, sizes: tuple[int, ...], origin_mm: np.ndarray, grid: CtGrid
) -> Refusal:
    geometry = grid.geometry
    found = _stated(sizes, steps_mm, origin_mm)
    wanted = _stated(geometry.shape, geometry.affine[:3, :3], geometry.affine[:3, 3])
    return Refusal(
        "M04",
        f"{path.name} has {found}",
        f"the grid of CT series {grid.series_uid}: {wanted}, in any storage order",
        "Resample the mask onto this CT (nearest neighbour) and export it again",
    )


def _stated(sizes: tuple[int, ...], steps_mm: np.ndarray, origin_mm: np.ndarray) -> str:
    lengths = " x ".join(f"{step:.5g}" for step in np.linalg.norm(steps_mm, axis=0))
    units = steps_mm / np.linalg.norm(steps_mm, axis=0)
    axes = "; ".join(" ".join(f"{part:.4g}" for part in axis) for axis in units.T)
    place = ", ".join(f"{mm:.2f}" for mm in origin_mm)
    shape = " x ".join(map(str, sizes))
    return f"{shape} voxels of {lengths} mm (z y x) from ({place}) mm LPS along ({axes})"


def _whole(stored: np.ndarray, path: Path) -> np.ndarray:
    """Copy the labels as whole numbers; floats are accepted only if they are whole numbers."""
    if stored.dtype.kind != "f":
        if stored.size and stored.min() < 0:
            raise _no_labels(path, f"negative values, down to {stored.min()}")
        return stored.copy()
    labels = np.empty(stored.shape, np.int32)
    for plane, into in zip(stored, labels, strict=True):  # one slice at a time, to save memory
        odd = plane[~((plane >= 0) & (plane <= MAX_LABEL) & (plane == np.rint(plane)))]
        if odd.size:
            raise _no_labels(path, f"values such as {odd[0]:.6g}")
        into[:] = plane
    return labels


def _labelled(labels: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield every label value with its voxels z y x, shape (voxel, 3)."""
    if np.count_nonzero(labels) > MAX_LABELLED * labels.size:
        raise _too_much("a label map that labels more than half of the scan")
    voxels = np.argwhere(labels)
    values = labels[tuple(voxels.T)]
    order = np.argsort(values, kind="stable")
    found, counts = np.unique(values, return_counts=True)
    if len(found) > MAX_REGIONS:
        raise _too_much(f"a label map of {len(found)} labels")
    parts = np.split(voxels[order], np.cumsum(counts)[:-1])
    yield from zip(
        found.tolist(), parts, strict=False
    )  # without labels, `parts` holds one empty part


def _region(value: int, name: str | None, voxels: np.ndarray) -> Region:
    mask, origin = from_voxels(voxels)
    station, warnings = station_in(name or "")
    return Region(
        label=name or f"label {value}",
        number=value,
        mask=mask,
        origin_vox=origin,
        station=station,
        warnings=warnings,
    )


def _segment_names(keys: dict[str, Any]) -> dict[tuple[int, int], str] | None:
    """Read a .seg.nrrd's segment names by layer and label value from Slicer's header fields."""
    prefixes = [
        key[: -len("_ID")] for key in keys if key.startswith("Segment") and key[-3:] == "_ID"
    ]
    if not prefixes:
        return None
    names = {}
    for prefix in prefixes:
        place = keys.get(f"{prefix}_Layer", "0"), keys.get(f"{prefix}_LabelValue", "")
        if all(number.isdecimal() for number in place):
            names[int(place[0]), int(place[1])] = str(keys.get(f"{prefix}_Name", prefix))
    return names


def _too_much(found: str) -> Refusal:
    return Refusal(
        "M06",
        found,
        f"at most {MAX_REGIONS} labels, one for each node",
        "Check that it is a label map of lymph nodes and not an image",
    )


def _no_labels(path: Path, found: str) -> Refusal:
    return Refusal(
        "M05",
        f"{path.name} holds {found}",
        "whole numbers from 0, one for each node",
        "Export the label map, not the image or a probability map",
    )


def _unreadable(path: Path, found: str) -> Refusal:
    return Refusal(
        "M01",
        f"{path.name} cannot be read as a label map: {found}",
        "a three-dimensional NIfTI or NRRD file",
        "Export the label map again",
    )
