"""Draw the appearance of a lymph node, and compute its exact log-likelihood ratio of malignancy.

Every cue has one distribution for benign and one for malignant nodes, and the two overlap. The
cues are drawn independently within a class (necrosis and hilum given the size). The
log-likelihood ratio is therefore exact: nobody who reads the images can rank nodes better.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Bell:
    """Normal distribution of a value or of its logarithm, truncated to `range`.

    Attributes:
        benign: Median in benign nodes, before truncation.
        malignant: Median in malignant nodes, before truncation.
        spread: Standard deviation of the value, or of its logarithm if `log` is True.
        range: Smallest and largest value.
        log: Whether the logarithm of the value is normally distributed.
    """

    benign: float
    malignant: float
    spread: float
    range: tuple[float, float]
    log: bool = True

    def _scale(self, value: float) -> float:
        return math.log(value) if self.log else value

    def draw(self, rng: np.random.Generator, malignant: bool) -> float:
        """Draw one value; repeat until it lies in the range."""
        middle = self._scale(self.malignant if malignant else self.benign)
        while True:
            drawn = rng.normal(middle, self.spread)
            value = math.exp(drawn) if self.log else float(drawn)
            if self.range[0] <= value <= self.range[1]:
                return value

    def _log_density(self, value: float, median: float) -> float:
        middle = self._scale(median)
        low, high = (
            math.erf((self._scale(limit) - middle) / (self.spread * math.sqrt(2)))
            for limit in self.range
        )
        return -0.5 * ((self._scale(value) - middle) / self.spread) ** 2 - math.log(high - low)

    def log_ratio(self, value: float) -> float:
        """Return log(p(value | malignant) / p(value | benign))."""
        return self._log_density(value, self.malignant) - self._log_density(value, self.benign)


@dataclass(frozen=True)
class Chance:
    """A feature that is present or absent; small nodes have it less often.

    Attributes:
        benign: Probability in a large benign node.
        malignant: Probability in a large malignant node.
        none_below_mm: Short axis up to which the probability is a tenth of the full one.
        full_from_mm: Short axis from which the probability is the full one.
    """

    benign: float
    malignant: float
    none_below_mm: float
    full_from_mm: float

    def of(self, short_axis_mm: float, malignant: bool) -> float:
        """Return the probability of the feature at this size."""
        grown = (short_axis_mm - self.none_below_mm) / (self.full_from_mm - self.none_below_mm)
        return (self.malignant if malignant else self.benign) * min(max(grown, 0.1), 1.0)

    def log_ratio(self, present: bool, short_axis_mm: float) -> float:
        """Return log(p(present | malignant, size) / p(present | benign, size))."""
        ill, well = self.of(short_axis_mm, True), self.of(short_axis_mm, False)
        return math.log(ill / well) if present else math.log((1 - ill) / (1 - well))


@dataclass(frozen=True, kw_only=True)
class Cues:
    """Distributions of the cues that separate the classes (our own values, see docs/phantom.md)."""

    short_axis_mm: Bell = Bell(7.0, 9.7, 0.31, (4.0, 20.0))
    stretch: Bell = Bell(0.48, 0.42, 0.5, (0.05, 1.4))
    """Long axis divided by short axis, minus 1."""
    enhancement_hu: Bell = Bell(67.0, 98.0, 16.0, (30.0, 150.0), log=False)
    heterogeneity_hu: Bell = Bell(8.0, 16.5, 0.55, (2.0, 50.0))
    """Standard deviation of the texture inside the node."""
    irregularity: Bell = Bell(0.045, 0.05, 0.5, (0.005, 0.2))
    """Relative standard deviation of the radius."""
    border_mm: Bell = Bell(1.2, 1.26, 0.4, (0.5, 5.0))
    """Width of the blurred edge."""
    necrosis: Chance = Chance(0.04, 0.22, 5.0, 10.0)
    hilum: Chance = Chance(0.42, 0.25, 4.5, 9.0)
    core_hu: tuple[float, float] = (8.0, 6.0)
    """Mean and standard deviation of a necrotic core in HU, the same in both classes."""
    core_part: tuple[float, float] = (0.52, 0.78)
    """Range of the core's radius relative to the node's radius, the same in both classes."""
    hilum_part: tuple[float, float] = (0.42, 0.6)
    """Range of the fatty hilum's radius relative to the node's, the same in both classes."""


@dataclass(frozen=True, kw_only=True)
class Traits:
    """The generating parameters of one node; `core_part` and `hilum_part` are 0 where absent."""

    short_axis_mm: float
    stretch: float
    height: float
    enhancement_hu: float
    heterogeneity_hu: float
    irregularity: float
    border_mm: float
    core_part: float
    core_hu: float
    hilum_part: float

    @property
    def semi_axes_mm(self) -> tuple[float, float, float]:
        """Half the long axis, half the short axis, half the height."""
        half = self.short_axis_mm / 2
        return half * (1 + self.stretch), half, half * self.height


BELLS = (
    "short_axis_mm", "stretch", "enhancement_hu", "heterogeneity_hu", "irregularity", "border_mm"
)  # fmt: skip


def draw_traits(rng: np.random.Generator, malignant: bool, cues: Cues) -> Traits:
    """Draw the traits of one node of the given class."""
    values = {name: getattr(cues, name).draw(rng, malignant) for name in BELLS}
    size = values["short_axis_mm"]
    necrotic = rng.uniform() < cues.necrosis.of(size, malignant)
    has_hilum = rng.uniform() < cues.hilum.of(size, malignant)
    core_part, hilum_part = rng.uniform(*cues.core_part), rng.uniform(*cues.hilum_part)
    return Traits(
        **values,
        height=float(rng.uniform(1.4, 2.2)),  # nodes lie along the oesophagus
        core_part=float(core_part) if necrotic else 0.0,
        core_hu=float(rng.normal(*cues.core_hu)),
        hilum_part=float(hilum_part) if has_hilum else 0.0,
    )


def log_likelihood_ratio(traits: Traits, cues: Cues) -> float:
    """Return the exact log(p(traits | malignant) / p(traits | benign))."""
    bells = sum(getattr(cues, name).log_ratio(getattr(traits, name)) for name in BELLS)
    size = traits.short_axis_mm
    return (
        bells
        + cues.necrosis.log_ratio(traits.core_part > 0, size)
        + cues.hilum.log_ratio(traits.hilum_part > 0, size)
    )
