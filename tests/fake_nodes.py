"""Believable patches: a node in fat between vessels, lung and spine, with noise and blur."""

import numpy as np

from engines.patch import SPEC

GRID_MM = np.stack(
    np.meshgrid(
        *(
            (np.arange(size) - (size - 1) / 2) * step
            for size, step in zip(SPEC.size_vox, SPEC.spacing_mm, strict=True)
        ),
        indexing="ij",
    ),
    axis=-1,
)
"""Millimetres from the patch's centre, (18, 80, 80, 3), z y x."""


def _tube(start: tuple[float, ...], direction: tuple[float, ...], radius_mm: float) -> np.ndarray:
    unit = np.array(direction, float) / np.linalg.norm(direction)
    offset = GRID_MM - np.array(start, float)
    along = offset @ unit
    return np.linalg.norm(offset - along[..., None] * unit, axis=-1) - radius_mm


def _soft(distance_mm: np.ndarray, blur_mm: float = 0.6) -> np.ndarray:
    return 1 / (1 + np.exp(distance_mm / blur_mm * 2))


def node_patch(
    seed: int, axes_mm: tuple[float, float, float] = (7.0, 5.0, 6.0), necrosis: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """HU int16 and occupancy uint8, both (18, 80, 80); semi-axes z y x."""
    random = np.random.default_rng(seed)
    hu = -100 + 12 * _noise(random, 5.0)
    angle = random.uniform(0, np.pi)
    turned = GRID_MM.copy()
    turned[..., 1] = np.cos(angle) * GRID_MM[..., 1] - np.sin(angle) * GRID_MM[..., 2]
    turned[..., 2] = np.sin(angle) * GRID_MM[..., 1] + np.cos(angle) * GRID_MM[..., 2]
    reach = np.linalg.norm(turned / np.array(axes_mm), axis=-1)
    bumps = 1 + 0.08 * _noise(random, 4.0)
    surface_mm = (reach / bumps - 1) * float(np.mean(axes_mm))
    inside = _soft(surface_mm)
    vessels = (
        (_tube((0, -18, 13), (1, 0.1, 0.2), 7.0), 190.0),
        (_tube((0, 15, -17), (1, 0.05, -0.1), 9.5), 175.0),
        (_tube((10, -8, -17), (0.2, 0.3, 1), 3.0), 160.0),
        (_tube((-6, 9, 18), (1, -0.5, 0.2), 2.2), 150.0),
    )
    for distance, value in vessels:
        hu += _soft(distance) * (value - hu)
    lung = _soft(31 - GRID_MM[..., 2] * 1.2 - 0.25 * GRID_MM[..., 1] + 2 * _noise(random, 8.0))
    hu += lung * (-850 - hu)
    spine = _soft(np.linalg.norm(GRID_MM[..., 1:] - np.array([38.0, 6.0]), axis=-1) - 15)
    hu += spine * (260 + 60 * _noise(random, 1.5) - hu)
    core = _soft(surface_mm + 2.5) if necrosis else 0.0
    hu += inside * (75 + 10 * _noise(random, 2.0) - 50 * core - hu)
    hu += 11 * _noise(random, 0.7)
    return np.rint(hu).astype(np.int16), np.rint(_soft(surface_mm, 0.3) * 255).astype(np.uint8)


def _noise(random: np.random.Generator, scale_mm: float) -> np.ndarray:
    """Unit-variance noise, smooth over `scale_mm`."""
    frequencies = [
        np.fft.fftfreq(n, d) for n, d in zip(SPEC.size_vox, SPEC.spacing_mm, strict=True)
    ]
    squared = sum(f**2 for f in np.meshgrid(*frequencies, indexing="ij"))
    spectrum = np.fft.fftn(random.standard_normal(SPEC.size_vox))
    smooth = np.fft.ifftn(spectrum * np.exp(-2 * (np.pi * scale_mm) ** 2 * squared)).real
    return smooth / smooth.std()


def centred_affine() -> np.ndarray:
    """Patch voxel to LPS mm with the patch's centre at (0, 0, 0)."""
    affine = np.zeros((4, 4))
    for axis, step in enumerate(SPEC.spacing_mm):
        affine[2 - axis, axis] = step
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(SPEC.size_vox) - 1) / 2)
    affine[3, 3] = 1
    return affine
