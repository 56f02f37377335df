"""The specification of a patch: its grid and the rules for its values.

`lnscore` cuts patches by it; `trainer` and `engines` crop them by it. The specification has a
version and a hash. An engine bundle states the hash that it was made for; a bundle with
another hash is refused.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from engines.shapes import Crops, Patches


@dataclass(frozen=True, kw_only=True)
class PatchSpec:
    """Grid and value rules of a patch (our choice; paper Sec. 3.1 gives the 64x64x16 region).

    Attributes:
        version: Raised whenever a rule below or the resampling changes.
        size_vox: Size of the stored patch, z y x: the region below plus the margin that
            augmentation needs.
        crop_vox: Size of the region that a network gets, z y x, centred in the stored patch.
        spacing_mm: Grid spacing, z y x. The patch axes are the patient axes: z points to the
            head (S), y to the back (P), x to the left (L).
        outside_hu: Value outside the scan, and in place of PixelPaddingValue.
        snap_tolerance: If the slice spacing of a CT differs from the z spacing by at most this
            fraction, its slices are used as they are, without interpolation between slices.
        thick_limit_mm: CTs with a larger slice spacing are interpolated and flagged.
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
"""Index of the centred region in patches of shape (node, 18, 80, 80), for any array type."""


def crop(patches: Patches) -> Crops:
    """Cut out the centred region that a network gets; used by trainer and engines.

    Args:
        patches: Patches in HU, shape (node, 18, 80, 80).

    Returns:
        A view of shape (node, 16, 64, 64).
    """
    return patches[CROP]
