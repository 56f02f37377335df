"""Make the input of the benchmarks.

Studies have 91 x 512 x 512 voxels with ten segments; a cohort is a database with a patch store.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

import engines
from db.labels import LabelRecord
from db.records import (
    AnnotationRecord,
    NodeRecord,
    PatchFileRecord,
    PatientRecord,
    SeriesRecord,
    StudyRecord,
)
from engines.patch import SPEC, crop

SHAPE = (91, 512, 512)
SPACING_MM = (5.0, 0.795, 0.795)
NODES = 10
STEPS, INPUT_NODES = 12, 640
"""Number of timed training steps, and number of nodes for the timed input path."""

SSL_STEPS = 5
"""Number of timed semi-supervised steps; one takes five times as long as a supervised step."""

SCORED_NODES = 6320
"""Number of nodes of a timed refresh.

The paper has 6,326 unlabelled nodes; the number is rounded because our patients have ten each.
"""


def make_studies(folder: Path, count: int) -> list[Path]:
    """Write `count` studies, unless an earlier run has written them, and return their folders."""
    marker = folder / "made.json"
    wanted = {"count": count, "shape": SHAPE, "nodes": NODES, "version": 1}
    if not marker.exists() or json.loads(marker.read_text()) != json.loads(json.dumps(wanted)):
        rng = np.random.default_rng(0)
        noise = rng.normal(40, 20, SHAPE).astype(np.int16)
        for number in range(count):
            _write_study(folder / f"study{number:02d}", noise + number, rng)
        marker.write_text(json.dumps(wanted))
    return sorted(folder.glob("study*"))


def _write_study(folder: Path, hu: np.ndarray, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    uids = [generate_uid() for _ in range(3)]
    for z, plane in enumerate(hu):
        _slice(z, plane, *uids).save_as(folder / f"{z:03d}.dcm", enforce_file_format=True)
    slices = [dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    _segmentation(slices, rng).save_as(folder / "seg.dcm")


def _slice(z: int, plane: np.ndarray, study: str, series: str, frame: str) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
    ds.Modality, ds.PatientID, ds.PatientName = "CT", f"BENCH-{study[-6:]}", "Bench^Mark"
    ds.PatientBirthDate, ds.PatientSex, ds.AccessionNumber, ds.StudyID = "", "", "", ""
    ds.StudyDate, ds.StudyTime, ds.ReferringPhysicianName = "20261101", "101500", ""
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SeriesNumber, ds.InstanceNumber, ds.AcquisitionNumber = 2, z + 1, 1
    ds.Manufacturer, ds.PositionReferenceIndicator = "benchmark", ""
    ds.SliceThickness, ds.PixelSpacing = "5", ["0.795", "0.795"]
    ds.ImagePositionPatient = ["-203.5", "-203.5", f"{z * 5.0 - 225:g}"]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.Rows, ds.Columns, ds.SamplesPerPixel = SHAPE[1], SHAPE[2], 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
    ds.PixelData = (plane + 1024).astype("<i2").tobytes()
    return ds


def _segmentation(slices: Sequence[Dataset], rng: np.random.Generator) -> hd.seg.Segmentation:
    masks = np.zeros((*SHAPE, NODES), dtype=np.uint8)
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    for number in range(NODES):
        centre = rng.uniform([15, 150, 150], [75, 360, 360])
        radius_mm = rng.uniform(4, 9)
        distance = sum(
            ((axis - c) * step) ** 2
            for axis, c, step in zip((z, y, x), centre, SPACING_MM, strict=True)
        )
        masks[..., number] = distance <= radius_mm**2
    descriptions = [
        hd.seg.SegmentDescription(
            number + 1,
            f"LN {number + 1} AJCC8:7",
            codes.SCT.AnatomicalStructure,
            codes.SCT.LymphNode,
            hd.seg.SegmentAlgorithmTypeValues.MANUAL,
            tracking_uid=generate_uid(),
            tracking_id=f"LN {number + 1}",
        )
        for number in range(NODES)
    ]
    return hd.seg.Segmentation(
        slices,
        masks,
        hd.seg.SegmentationTypeValues.BINARY,
        descriptions,
        series_instance_uid=generate_uid(),
        series_number=9,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="benchmark",
        manufacturer_model_name="benchmark",
        software_versions="1",
        device_serial_number="1",
    )


def make_cohort(database: Path, nodes: int) -> None:
    """Make a database with this many unscored nodes, ten per study, with patches of noise.

    All nodes have a label of the reader `radiologist`; one in ten is malignant.
    """
    from db import labels, runs, studies
    from db.patchstore import PatchStore
    from db.session import open_database
    from lnscore.settings import Settings

    rng = np.random.default_rng(1)
    store = PatchStore(Settings(db=str(database)).store_root)
    with open_database(str(database), create=True) as opened, opened.begin() as session:
        run_id = runs.start(session, "benchmark", [], "0")
        for number in range(nodes // NODES):
            hu = rng.normal(40, 60, (NODES, *SPEC.size_vox)).astype(np.int16)
            sha256, _ = store.write(hu, None)
            added = studies.add_series(session, _series_record(number, hu, sha256), run_id)
            ids = labels.node_ids(session, added.series_id).values()
            said = [
                LabelRecord(node, "radiologist", int(i == 0), "none") for i, node in enumerate(ids)
            ]
            labels.add(session, said)


def _series_record(number: int, hu: np.ndarray, sha256: str) -> SeriesRecord:
    annotation = AnnotationRecord(format="PHANTOM", sha256=sha256, path="none")
    nodes = [
        NodeRecord(
            annotation_sha256=sha256,
            tracking_uid=f"2.25.{number}{index:03d}",
            label=f"LN {index + 1}",
            centroid_mm=(0.0, 0.0, 0.0),
            patch_index=index,
            patch_sha256=hashlib.sha256(patch.tobytes()).hexdigest(),
            patch_affine=np.eye(4).tolist(),
            padded_fraction=0.0,
        )
        for index, patch in enumerate(hu)
    ]
    return SeriesRecord(
        study=StudyRecord(PatientRecord(f"{number:064x}"), f"1.2.3.{number}"),
        series_uid=f"1.2.3.{number}.1",
        status="ready",
        content_sha256=sha256,
        patch_file=PatchFileRecord(sha256, None, len(hu), SPEC.version, SPEC.hash),
        annotations=[annotation],
        nodes=nodes,
    )


def write_registry(file: Path, rows: int) -> None:
    """Write a table of pathology in the canonical form, with ten stations per report."""
    stations = ("1R", "2R", "2L", "4R", "4L", "7", "8U", "8M", "8Lo", "16")
    head = "patient_key,report_id,report_date,station_system,station,n_examined,n_positive"
    lines = (
        f"B{row // 10:06d},R{row // 10:06d},2026-01-31,AJCC8,{stations[row % 10]},{row % 7 + 1},0"
        for row in range(rows)
    )
    file.write_text("\n".join([head, *lines, ""]))


def hu_crops(folder: Path) -> np.ndarray:
    """Read all stored patches and crop them: HU, float32, shape (node, 16, 64, 64)."""
    files = sorted((folder / "scores.db.patches").rglob("*.npy"))
    return np.concatenate([crop(np.load(file)).astype(np.float32) for file in files])


def demo_model() -> Path:
    """Return the path of the fp32 graph of the demo engine in the repository."""
    return Path(engines.__file__).parent / "bundles" / "demo" / "model.onnx"
