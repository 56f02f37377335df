"""The contestants that the benchmarks of ingest and scoring compare.

`python -m benchmarks.contestants NAME FOLDER` runs one contestant once. Each run is a process of
its own, so that the imports are timed too. The contestants of scoring print the seconds of their
loop, without imports.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import SimpleITK as sitk

BATCHES = (1, 8, 16, 32, 64)


def only_read(folder: Path) -> None:
    """Decode every file into an array with pydicom and do nothing else: the floor of ingest."""
    from pydicom import dcmread

    for study in sorted(folder.glob("study*")):
        planes = [dcmread(path).pixel_array for path in sorted(study.glob("[0-9]*.dcm"))]
        np.stack(planes)


def usual_way(folder: Path) -> None:
    """Read the series with SimpleITK, resample the whole volume and crop patches from it."""
    import highdicom as hd
    import SimpleITK as sitk

    for study in sorted(folder.glob("study*")):
        reader = sitk.ImageSeriesReader()
        series = [
            reader.GetGDCMSeriesFileNames(str(study), uid)
            for uid in reader.GetGDCMSeriesIDs(str(study))
        ]
        reader.SetFileNames(max(series, key=len))
        resampled = _resample(reader.Execute(), (0.795, 0.795, 5.0))
        array = np.pad(sitk.GetArrayFromImage(resampled), ((9, 9), (40, 40), (40, 40)))
        seg = hd.seg.segread(study / "seg.dcm")
        for number in seg.segment_numbers:
            volume = seg.get_volume(segment_numbers=[number], combine_segments=False)
            where = np.argwhere(volume.array[..., 0])
            centre_mm = volume.map_indices_to_reference(where).mean(axis=0)
            x, y, z = resampled.TransformPhysicalPointToIndex(centre_mm.tolist())
            np.ascontiguousarray(array[z : z + 18, y : y + 80, x : x + 80])


def _resample(image: "sitk.Image", spacing_mm: tuple[float, ...]) -> "sitk.Image":
    import SimpleITK as sitk

    scale = np.array(image.GetSpacing()) / np.array(spacing_mm)
    size = [round(float(v)) for v in np.array(image.GetSize()) * scale]
    resample = sitk.ResampleImageFilter()
    resample.SetSize(size)
    resample.SetOutputSpacing(spacing_mm)
    resample.SetOutputOrigin(image.GetOrigin())
    resample.SetOutputDirection(image.GetDirection())
    resample.SetDefaultPixelValue(-1024)
    return resample.Execute(image)


def bare_session(folder: Path) -> None:
    """Run ONNX Runtime on crops in memory at its best batch size: the ceiling of scoring."""
    import onnxruntime

    from benchmarks.data import demo_model, hu_crops

    session = onnxruntime.InferenceSession(
        demo_model().read_bytes(), providers=["CPUExecutionProvider"]
    )
    _time_best(hu_crops(folder), lambda crops: session.run(None, {"hu": crops}))


def torch_eager(folder: Path) -> None:
    """Run the same network in eager torch at its best batch size."""
    import torch

    from benchmarks.data import hu_crops
    from trainer.bundle.demo import CONFIG
    from trainer.networks.two_stream import TwoStream

    network = TwoStream(CONFIG).eval()
    with torch.inference_mode():
        _time_best(hu_crops(folder), lambda crops: network(torch.from_numpy(crops)))


def _time_best(crops: np.ndarray, run: Callable[[np.ndarray], object]) -> None:
    """Find the best batch size on some nodes, then time all nodes once at that size."""
    trial = crops[: 2 * max(BATCHES)]
    for size in BATCHES:
        _time(trial[:size], size, run)  # kernels are chosen at the first run of a size
    best = min(BATCHES, key=lambda size: min(_time(trial, size, run) for _ in range(2)))
    _print_seconds(_time(crops, best, run))


def _time(crops: np.ndarray, size: int, run: Callable[[np.ndarray], object]) -> float:
    started = time.perf_counter()
    for start in range(0, len(crops), size):
        run(crops[start : start + size])
    return time.perf_counter() - started


def lnscore_score(folder: Path) -> None:
    """Run `lnscore score --pending`, from the patch store to committed scores in the database."""
    from lnscore.scoring import job as score
    from lnscore.scoring.options import EngineOptions
    from lnscore.settings import Settings

    summary = score.run(
        Settings(db=str(folder / "scores.db")), score.PENDING, EngineOptions(engine="demo")
    )
    if summary.added != summary.nodes or not summary.nodes:
        raise SystemExit("lnscore scored nothing new")
    _print_seconds(summary.duration_s)


def _print_seconds(seconds: float) -> None:
    sys.stdout.write(f"{seconds:.6f}\n")


def make(folder: Path, count: int) -> None:
    """Make studies, or a database of `count` nodes.

    This runs in a process of its own, so that it does not add to the memory peak of a contestant.
    """
    from benchmarks.data import make_cohort, make_studies

    if folder.suffix == ".db":
        make_cohort(folder, count)
    else:
        make_studies(folder, count)


CONTESTANTS = {
    "read": only_read,
    "usual": usual_way,
    "bare": bare_session,
    "torch": torch_eager,
    "score": lnscore_score,
}

if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        CONTESTANTS[sys.argv[1]](Path(sys.argv[2]))
