"""Measure how difficult a phantom cohort is, by the AUROC of three rankings of its nodes.

The rankings are: the short axis alone (the rule of radiologists), the exact log-likelihood ratio
of the generating parameters (nobody who reads the images can rank better), and a simple logistic
regression on measurements of patch and mask (the information left after noise, blur and slicing).
"""

from dataclasses import dataclass

import numpy as np

from engines.patch import SPEC

FOLDS = 5
RIDGE = 3.0
ENOUGH = 100  # fewest nodes of each class for a meaningful AUROC
HALF = 128  # smallest occupancy that counts as inside
MARGIN_VOX = 4
FULL = 0.7  # smallest area of a slice that is used, as a part of the largest slice's area


@dataclass(frozen=True)
class Sample:
    """Data of one node for the rankings.

    Attributes:
        patient: Number of the node's patient; a fold holds whole patients.
        malignant: True label of the node.
        log_ratio: Value of `lymph_nodes.log_likelihood_ratio`.
        measured: Result of `measurements` for the node's patch.
    """

    patient: int
    malignant: bool
    log_ratio: float
    measured: np.ndarray


@dataclass(frozen=True)
class Difficulty:
    """AUROC (0-1) of the three rankings, and the number of nodes of each class."""

    positive: int
    negative: int
    short_axis: float
    measurements: float
    parameters: float

    def lines(self) -> tuple[str, ...]:
        """Return the text lines of the report, one for each AUROC."""
        return (
            f"AUROC over {self.positive} malignant and {self.negative} benign nodes:",
            f"  short axis alone            {self.short_axis:.3f}",
            f"  {len(NAMES)} plain measurements       {self.measurements:.3f}"
            " (logistic regression, cross-validated by patient)",
            f"  true generating parameters  {self.parameters:.3f}",
        )


def assess(samples: list[Sample]) -> Difficulty | None:
    """Rank a cohort in three ways; None if it has too few nodes of one class."""
    truth = np.array([sample.malignant for sample in samples], bool)
    positive, negative = int(truth.sum()), int((~truth).sum())
    if min(positive, negative) < ENOUGH:
        return None
    table = np.stack([sample.measured for sample in samples])
    patients = np.array([sample.patient for sample in samples])
    return Difficulty(
        positive,
        negative,
        auroc(table[:, NAMES.index("short_axis")], truth),
        auroc(out_of_fold(table, truth, patients), truth),
        auroc(np.array([sample.log_ratio for sample in samples]), truth),
    )


def auroc(score: np.ndarray, truth: np.ndarray) -> float:
    """Compute the probability that a malignant node scores above a benign one; ties count half."""
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive, negative = int(truth.sum()), int((~truth).sum())
    return float((rank[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))


def out_of_fold(table: np.ndarray, truth: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Compute the out-of-fold logit of every node: from a model fitted without its patient."""
    logit = np.empty(len(table))
    for fold in range(FOLDS):
        held = patients % FOLDS == fold
        middle, spread = table[~held].mean(axis=0), table[~held].std(axis=0) + 1e-9
        inputs = np.c_[np.ones(len(table)), (table - middle) / spread]
        logit[held] = inputs[held] @ _fit(inputs[~held], truth[~held])
    return logit


def _fit(inputs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Fit a ridge logistic regression by Newton steps; the intercept is not penalised."""
    weights = np.zeros(inputs.shape[1])
    shrink = RIDGE * (np.arange(len(weights)) > 0)
    for _ in range(30):
        chance = 1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30)))
        slope = inputs.T @ (chance - truth) + shrink * weights
        curve = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + np.diag(shrink + 1e-9)
        step = np.linalg.solve(curve, slope)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    return weights


NAMES = (
    "short_axis", "long_over_short", "volume", "mean_hu", "spread_hu", "below_20_hu",
    "below_minus_20_hu", "core_over_rim", "rim_contrast", "fine_texture", "coarse_texture",
    "grain", "bright_hu",
)  # fmt: skip
"""Names of the values that `measurements` returns, in order."""


def measurements(hu: np.ndarray, occupancy: np.ndarray) -> np.ndarray:
    """Measure simple radiomic features of a node on its patch.

    Args:
        hu: HU of one patch, shape (18, 80, 80).
        occupancy: Mask of the node on the same grid, 0-255.

    Returns:
        One value for every name in `NAMES`, float64; sizes and spreads are logarithms.
    """
    hu, mask = _around(hu, occupancy)
    areas = mask.sum(axis=(1, 2))
    full = mask & (areas >= FULL * areas.max())[:, None, None]  # slices with little fat around
    core = _eroded(full)
    core = core if core.sum() >= 5 else full
    rim, outside = full & ~core, _grown(_grown(full)) & ~_grown(full)
    short, long = _axes(mask)
    near, wide = _mean_within(hu, full, 1), _mean_within(hu, full, 3)
    fine, coarse = (hu - near)[core], (near - wide)[core]
    return np.array(
        [
            np.log(short),
            np.log(long / short),
            np.log(mask.sum()),
            hu[core].mean(),
            np.log(near[core].std() + 1),
            (near[core] < 20).mean(),
            (near[core] < -20).mean(),
            hu[core].mean() - hu[rim].mean() if rim.any() else 0.0,
            hu[full & ~_eroded(full)].mean() - hu[outside].mean(),
            np.log(fine.std() + 1),
            np.log(coarse.std() + 1),
            np.log(_grain(hu, _grown(_grown(mask))) + 1),
            np.percentile(near[core], 80),
        ]
    )


def _around(hu: np.ndarray, occupancy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Crop to the node's box with an in-plane margin; return HU as float and the mask as bool."""
    mask = occupancy >= min(HALF, int(occupancy.max()))
    z, y, x = (np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    box = (
        slice(z[0], z[-1] + 1),
        *(slice(max(i[0] - MARGIN_VOX, 0), i[-1] + 1 + MARGIN_VOX) for i in (y, x)),
    )
    return hu[box].astype(np.float64), mask[box]


def _shifted(values: np.ndarray, reach: int = 1) -> list[np.ndarray]:
    """Return the image shifted in the plane to every neighbour within `reach`, itself included."""
    padded = np.pad(values, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    rows, columns = values.shape[1:]
    steps = range(2 * reach + 1)
    return [padded[:, i : i + rows, j : j + columns] for i in steps for j in steps]


def _mean_within(hu: np.ndarray, mask: np.ndarray, reach: int) -> np.ndarray:
    """Compute the mean over the neighbours that lie inside the mask."""
    total = np.sum(_shifted(hu * mask, reach), axis=0)
    return total / np.maximum(np.sum(_shifted(mask.astype(float), reach), axis=0), 1)


def _eroded(mask: np.ndarray) -> np.ndarray:
    return np.logical_and.reduce([*_shifted(mask)[1::2], mask])


def _grown(mask: np.ndarray) -> np.ndarray:
    return np.logical_or.reduce([*_shifted(mask)[1::2], mask])


def _grain(hu: np.ndarray, node: np.ndarray) -> float:
    """Estimate the noise of the scan: robust difference of fat pixels to their neighbours."""
    fat = (np.abs(hu + 100) < 60) & ~node
    rough = np.abs(hu - _mean_within(hu, fat, 1))[fat]
    return float(1.48 * np.median(rough)) if rough.size else 0.0


def _axes(mask: np.ndarray) -> tuple[float, float]:
    """Compute short and long axis in mm from the second moments of the largest slice."""
    largest = mask[mask.sum(axis=(1, 2)).argmax()]
    points = np.argwhere(largest) * np.array(SPEC.spacing_mm[1:])
    pixel_mm2 = np.array(SPEC.spacing_mm[1:]) ** 2
    spread = np.atleast_2d(np.cov(points.T, bias=True)) + np.diag(pixel_mm2 / 12)
    short, long = 4 * np.sqrt(np.linalg.eigvalsh(spread))
    return float(short), float(long)
