"""The patch that ingest cuts, training crops and an engine scores.

The specification has a version and a hash; an engine bundle states the hash that it was
made for and refuses another. `lnscore` cuts by it, `trainer` and `engines` crop by it.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from engines.shapes import Crops, Patches


@dataclass(frozen=True, kw_only=True)
class PatchSpec:
    """Grid and value rules of a patch (ours; paper Sec. 3.1 gives the 64x64x16 region).

    Attributes:
        version: Raised whenever a rule below or the resampling changes.
        size_vox: Stored grid, z y x: the region plus the margin that augmentation needs.
        crop_vox: Region that a network sees, z y x, centred in the stored grid.
        spacing_mm: Grid step, z y x. Patch axes are patient axes: z to the head (S), y to
            the back (P), x to the left (L).
        outside_hu: Value outside the scan and in place of PixelPaddingValue.
        snap_tolerance: Sources whose slice step is within this fraction of the z spacing
            are taken slice by slice, never blended.
        thick_limit_mm: Sources with a larger slice step are interpolated and flagged.
    """

    version: int = 1
    size_vox: tuple[int, int, int] = (18, 80, 80)
    crop_vox: tuple[int, int, int] = (16, 64, 64)
    spacing_mm: tuple[float, float, float] = (5.0, 0.795, 0.795)
    outside_hu: int = -1024
    snap_tolerance: float = 0.1
    thick_limit_mm: float = 5.5

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of the specification as JSON."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


SPEC = PatchSpec()
MARGIN_VOX = tuple((s - c) // 2 for s, c in zip(SPEC.size_vox, SPEC.crop_vox, strict=True))
CENTRE_VOX = tuple((s - 1) / 2 for s in SPEC.size_vox)  # between two voxels: sizes are even
CROP = (slice(None), *(slice(m, m + c) for m, c in zip(MARGIN_VOX, SPEC.crop_vox, strict=True)))
"""Index of the centred region in patches of any array type, shape (node, 18, 80, 80)."""


def crop(patches: Patches) -> Crops:
    """Cut the centred region that a network sees; shared by trainer and engines.

    Args:
        patches: HU, shape (node, 18, 80, 80).

    Returns:
        A view of shape (node, 16, 64, 64).
    """
    return patches[CROP]
