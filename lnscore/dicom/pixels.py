"""Convert the stored pixel values of a slice to Hounsfield units (HU), without any guessing."""

import hashlib
import mmap
from dataclasses import replace
from pathlib import Path

import numpy as np

from engines.patch import SPEC
from lnscore.dicom.slice_headers import Pixels, SliceHeader
from lnscore.errors import Refusal

HU_TYPES = ("", "HU", "US")  # US: unspecified
SURELY_HU_BELOW = -200  # only HU values are this low: raw values start at 0

# Named explicitly because the decoder that pydicom chooses is 3.5 times slower for JPEG-LS.
DECODERS = {
    "1.2.840.10008.1.2.5": "pylibjpeg",
    "1.2.840.10008.1.2.4.50": "pylibjpeg",
    "1.2.840.10008.1.2.4.51": "pylibjpeg",
    "1.2.840.10008.1.2.4.57": "pylibjpeg",
    "1.2.840.10008.1.2.4.70": "pylibjpeg",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "pylibjpeg",
    "1.2.840.10008.1.2.4.91": "pylibjpeg",
    "1.2.840.10008.1.2.4.201": "pylibjpeg",
    "1.2.840.10008.1.2.4.202": "pylibjpeg",
    "1.2.840.10008.1.2.4.203": "pylibjpeg",
}
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")


def to_hu(stored: np.ndarray, pixels: Pixels) -> np.ndarray:
    """Convert stored values to HU (float32, same shape); padding and lower values become -1024."""
    stored = _without_spare_bits(stored, pixels)
    hu = stored.astype(np.float32)
    if pixels.slope != 1.0:
        hu *= np.float32(pixels.slope)
    hu += np.float32(pixels.intercept)
    np.maximum(hu, SPEC.outside_hu, out=hu)
    if pixels.padding is not None:
        low, high = pixels.padding
        hu[(stored >= low) & (stored <= high)] = SPEC.outside_hu
    return hu


def _without_spare_bits(stored: np.ndarray, pixels: Pixels) -> np.ndarray:
    """Remove the bits beyond BitsStored: old scanners store overlays there, others the sign."""
    spare = 16 - pixels.bits_stored
    return (stored << spare) >> spare if spare else stored


def stored_pixels(one: SliceHeader) -> np.ndarray:
    """Return the stored values of one slice, int16 or uint16, shape (rows, columns).

    Native pixels are memory-mapped: only the parts that are used are read from the file.

    Raises:
        Refusal: F08 the pixels cannot be decoded, F09 they are cut short.
    """
    pixels = one.pixels
    raw = _native(one) if pixels.offset is not None else _decoded(one)
    return raw.astype(np.int16 if pixels.signed else np.uint16, copy=False)


def _native(one: SliceHeader) -> np.ndarray:
    pixels, offset = one.pixels, one.pixels.offset or 0
    count = pixels.rows * pixels.columns
    with Path(one.path).open("rb") as file:
        raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if len(raw) < offset + 2 * count:
        raise _cut_short(max(len(raw) - offset, 0), 2 * count)
    stored = np.frombuffer(raw, "<i2" if pixels.signed else "<u2", count, offset)
    return stored.reshape(pixels.rows, pixels.columns)


def _decoded(one: SliceHeader) -> np.ndarray:
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import UID

    syntax = one.pixels.transfer_syntax
    if syntax not in DECODERS and syntax not in NATIVE:
        raise Refusal(
            "F08",
            f"pixels in transfer syntax {UID(syntax).name}",
            "a transfer syntax that lnscore can decode (see docs/inputs.md)",
            "Export the series uncompressed.",
        )
    try:
        decoded = pixel_array(
            one.path,
            index=one.pixels.frame,
            raw=True,
            decoding_plugin=DECODERS.get(syntax, ""),
        )
    except (MemoryError, Refusal):
        raise
    except Exception as error:
        raise Refusal(
            "F08",
            f"pixels that the decoder of {UID(syntax).name} cannot read "
            f"({type(error).__name__}: {str(error)[:120]})",
            "a whole image",
            "Export the series again.",
        ) from error
    if decoded.shape != (one.pixels.rows, one.pixels.columns):
        raise Refusal(
            "F09",
            f"decoded pixels of shape {decoded.shape}",
            f"{one.pixels.rows} x {one.pixels.columns}",
            "Export the series again.",
        )
    return decoded


def fingerprint(path: str, pixels: Pixels | None = None) -> tuple[str, Refusal | None]:
    """Return the SHA-256 of a file's bytes, and a refusal (F09) if pixels are missing."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
        return hashlib.sha256(raw).hexdigest(), _truncation(raw, pixels) if pixels else None


def _truncation(raw: mmap.mmap, pixels: Pixels) -> Refusal | None:
    if pixels.offset is not None:
        there, wanted = len(raw) - pixels.offset, 2 * pixels.rows * pixels.columns
        return _cut_short(max(there, 0), wanted) if there < wanted else None
    if pixels.transfer_syntax in NATIVE or b"\xfe\xff\xdd\xe0" in raw[-65536:]:
        return None
    found = "a compressed image without its end mark"
    return Refusal("F09", found, "a whole file", "Send the file again.")


def _cut_short(there: int, wanted: int) -> Refusal:
    return Refusal(
        "F09",
        f"{there} bytes of pixels",
        f"{wanted} bytes",
        "Send the file again; it is cut short.",
    )


def refuse_what_is_not_hu(
    slices: tuple[SliceHeader, ...], *, assume_hu: bool
) -> tuple[SliceHeader, ...]:
    """Check that every slice states how its stored values are converted to HU.

    Args:
        slices: Slices of one stack.
        assume_hu: Accept stored values as HU if the rescale tags are missing and the values
            are plausible.

    Returns:
        The slices; slope 1 and intercept 0 are filled in if `assume_hu` was applied.

    Raises:
        Refusal: S04 no rescale, S05 another unit, S06 a slope of 0; F07 a pixel coding that
            no CT has.
    """
    for one in slices:
        _refuse_coding(one)
    silent = [one for one in slices if one.pixels.slope is None or one.pixels.intercept is None]
    if not silent:
        return slices
    middle = slices[len(slices) // 2]
    lowest = int(_without_spare_bits(stored_pixels(middle), middle.pixels).min())
    if assume_hu and lowest <= SURELY_HU_BELOW:
        return tuple(
            replace(one, pixels=replace(one.pixels, slope=1.0, intercept=0.0)) for one in slices
        )
    raise Refusal(
        "S04",
        f"{len(silent)} of {len(slices)} slices without a usable RescaleSlope and RescaleIntercept"
        f" (lowest stored value {lowest})",
        "both in every slice",
        "Export the series again"
        + ("." if lowest > SURELY_HU_BELOW else ", or ingest with --assume-hu."),
    )


def _refuse_coding(one: SliceHeader) -> None:
    pixels = one.pixels
    if pixels.rescale_type.upper() not in HU_TYPES:
        raise Refusal(
            "S05",
            f"RescaleType {pixels.rescale_type}",
            "HU",
            "This is a derived map, not CT numbers: choose the series with Hounsfield units.",
        )
    if pixels.slope == 0:
        raise Refusal("S06", "RescaleSlope 0", "a slope above 0", "Export the series again.")
    if pixels.bits_allocated != 16 or not 8 < pixels.bits_stored <= 16:
        found = f"{pixels.bits_allocated} bits allocated, {pixels.bits_stored} stored"
        raise Refusal("F07", found, "16 allocated, 9 to 16 stored", "Export the series again.")
    if pixels.high_bit != pixels.bits_stored - 1:
        found = f"HighBit {pixels.high_bit} with {pixels.bits_stored} bits stored"
        raise Refusal("F07", found, f"HighBit {pixels.bits_stored - 1}", "Export the series again.")
