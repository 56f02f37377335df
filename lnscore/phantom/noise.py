"""Make image noise with the texture of a reconstruction kernel.

CT noise has little power at the lowest frequencies (ramp filter of filtered back-projection) and
at the highest ones (window of the kernel). A bank of such noise planes is computed once; each
slice mixes two of them at random offsets, so that it needs no Fourier transform of its own.
"""

from functools import cache

import numpy as np

PLANES = 8
SIZE = 768
BANK_SEED = 20240
PIXEL_MM = 0.8


@cache
def bank(cutoff_per_mm: float) -> np.ndarray:
    """Compute periodic noise planes of unit variance, shape (8, 768, 768), float32.

    Args:
        cutoff_per_mm: Frequency at which the window of the kernel ends: 0.4 for a smooth kernel,
            0.6 for a sharp one.
    """
    rng = np.random.default_rng(BANK_SEED)
    frequency = np.hypot(
        np.fft.fftfreq(SIZE, PIXEL_MM)[:, None], np.fft.rfftfreq(SIZE, PIXEL_MM)[None, :]
    )
    power = frequency * np.cos(np.clip(frequency / cutoff_per_mm, 0, 1) * np.pi / 2) ** 2
    white = rng.standard_normal((PLANES, SIZE, SIZE), dtype=np.float32)
    shaped = np.fft.rfft2(white) * np.sqrt(power).astype(np.float32)
    planes = np.fft.irfft2(shaped, s=(SIZE, SIZE))
    return (planes / planes.std()).astype(np.float32)


def slice_noise(
    rng: np.random.Generator, shape: tuple[int, int], cutoff_per_mm: float
) -> np.ndarray:
    """Draw unit-variance noise for one slice of at most 512 rows and columns, float32."""
    planes = bank(cutoff_per_mm)
    first, second = rng.choice(PLANES, 2, replace=False)
    rows, columns = (rng.integers(0, SIZE - size + 1, 2) for size in shape)
    cuts = [
        planes[plane, row : row + shape[0], column : column + shape[1]]
        for plane, row, column in zip((first, second), rows, columns, strict=True)
    ]
    turn = rng.uniform(0, 2 * np.pi)
    return np.float32(np.cos(turn)) * cuts[0] + np.float32(np.sin(turn)) * cuts[1]
