"""What the benchmarks compare: each runs as a process of its own, imports and all.

`python -m benchmarks.contestants NAME FOLDER` is one run of one contestant.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np


def only_read(folder: Path) -> None:
    """The floor: pydicom decodes every file into an array; nothing else."""
    from pydicom import dcmread

    for study in sorted(folder.glob("study*")):
        planes = [dcmread(path).pixel_array for path in sorted(study.glob("[0-9]*.dcm"))]
        np.stack(planes)


def usual_way(folder: Path) -> None:
    """SimpleITK series reader, the whole volume resampled, patches cropped from it."""
    import highdicom as hd
    import SimpleITK as sitk

    for study in sorted(folder.glob("study*")):
        reader = sitk.ImageSeriesReader()
        series = [
            reader.GetGDCMSeriesFileNames(str(study), uid)
            for uid in reader.GetGDCMSeriesIDs(str(study))
        ]
        reader.SetFileNames(max(series, key=len))
        image = reader.Execute()
        resampled = _resample(image, (0.795, 0.795, 5.0))
        array = np.pad(sitk.GetArrayFromImage(resampled), ((9, 9), (40, 40), (40, 40)))
        seg = hd.seg.segread(study / "seg.dcm")
        for number in seg.segment_numbers:
            volume = seg.get_volume(segment_numbers=[number], combine_segments=False)
            where = np.argwhere(volume.array[..., 0])
            centre_mm = volume.map_indices_to_reference(where).mean(axis=0)
            x, y, z = resampled.TransformPhysicalPointToIndex(centre_mm.tolist())
            np.ascontiguousarray(array[z : z + 18, y : y + 80, x : x + 80])


def _resample(image: "sitk.Image", spacing_mm: tuple[float, ...]) -> "sitk.Image":  # noqa: F821
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


def lnscore_ingest(folder: Path, jobs: int) -> None:
    """`lnscore ingest` into a database that exists and is empty."""
    command = [sys.executable, "-m", "lnscore", "ingest", str(folder)]
    command += ["--db", os.environ["BENCH_DB"], "--jobs", str(jobs)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


CONTESTANTS = {
    "read": only_read,
    "usual": usual_way,
    "lnscore": lambda folder: lnscore_ingest(folder, 1),
    "lnscore2": lambda folder: lnscore_ingest(folder, 2),
}

if __name__ == "__main__":
    CONTESTANTS[sys.argv[1]](Path(sys.argv[2]))
