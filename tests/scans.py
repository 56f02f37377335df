"""CT files to scans by lnscore's own way: what the tests of geometry and masks start from."""

from collections.abc import Iterable
from pathlib import Path

from lnscore.dicom.headers import read_header
from lnscore.dicom.pixels import fingerprint
from lnscore.dicom.series import SliceStack, split_series
from lnscore.dicom.slice_headers import SliceHeader
from lnscore.dicom.volume import Scan, place_stack


def slices_of(paths: Iterable[Path]) -> list[SliceHeader]:
    """Every CT slice of these files."""
    headers = [read_header(str(path), path.name) for path in sorted(paths)]
    return [one for header in headers if header for one in header.slices]


def stacks_of(paths: Iterable[Path]) -> list[SliceStack]:
    """The stacks of one series."""
    slices = slices_of(paths)
    hashes = {}
    for one in slices:
        hashes[one.path], problem = fingerprint(one.path, one.pixels)
        if problem:
            raise problem
    return split_series(slices, hashes)[0]


def scans_of(paths: Iterable[Path], fill_gaps: int = 0, *, assume_hu: bool = False) -> list[Scan]:
    """The scans of one series."""
    return [place_stack(one, "1", fill_gaps, assume_hu=assume_hu) for one in stacks_of(paths)]
