"""The look of phantom nodes, its exact likelihoods, and how they are painted."""

import numpy as np
import pytest

from lnscore.phantom import noise
from lnscore.phantom.anatomy import draw_chest
from lnscore.phantom.lymph_nodes import (
    BELLS,
    Bell,
    Chance,
    Cues,
    Traits,
    draw_traits,
    log_likelihood_ratio,
)
from lnscore.phantom.node_field import PhantomNode, draw_form, paint
from lnscore.phantom.places import PLACES, find_room
from lnscore.phantom.wall import Raster

CUES = Cues()
PLAIN = Traits(
    short_axis_mm=12.0, stretch=0.5, height=1.5, enhancement_hu=80.0, heterogeneity_hu=0.0,
    irregularity=0.0, border_mm=0.5, core_part=0.0, core_hu=0.0, hilum_part=0.0,
)  # fmt: skip
FINE_MM = 0.5


def _node(traits: Traits = PLAIN, centre_mm=(0.0, 0.0, 0.0)) -> PhantomNode:
    return PhantomNode(
        number=1,
        station="7",
        malignant=False,
        traits=traits,
        centre_mm=centre_mm,
        form=draw_form(np.random.default_rng(0)),
    )


def _painted(node: PhantomNode, thickness_mm: float = FINE_MM):
    x = np.arange(-30, 30, FINE_MM, dtype=np.float32)
    z = np.arange(-30, 30 + thickness_mm / 2, thickness_mm)
    part = paint(node, z, Raster(x, x), thickness_mm)
    assert part is not None
    return part


def test_sizes_stay_between_4_and_20_mm():
    rng = np.random.default_rng(0)
    sizes = [draw_traits(rng, bool(i % 2), CUES).short_axis_mm for i in range(2000)]
    assert min(sizes) >= 4
    assert max(sizes) <= 20
    assert max(sizes) > 15


def test_the_likelihood_ratio_of_a_bell_is_the_ratio_of_its_densities():
    """Midway between the two medians of a symmetric bell the ratio is 1."""
    bell = Bell(60.0, 80.0, 10.0, (20.0, 120.0), log=False)
    assert bell.log_ratio(70.0) == pytest.approx(0.0)
    assert bell.log_ratio(80.0) == pytest.approx(2.0**2 / 2)


def test_truncation_belongs_to_the_density():
    """Each class's density integrates to 1 over the range, so their ratio averages to 1."""
    bell = Bell(6.0, 9.0, 0.4, (4.0, 20.0))
    rng = np.random.default_rng(0)
    ratios = np.exp([bell.log_ratio(bell.draw(rng, malignant=False)) for _ in range(3000)])
    assert ratios.mean() == pytest.approx(1.0, abs=0.1)


def test_a_chance_grows_with_size_and_its_ratio_is_exact():
    chance = Chance(0.1, 0.4, 4.0, 8.0)
    assert chance.of(12.0, True) == 0.4
    assert chance.of(6.0, True) == pytest.approx(0.2)
    assert chance.log_ratio(True, 12.0) == pytest.approx(np.log(4))
    assert chance.log_ratio(False, 12.0) == pytest.approx(np.log(0.6 / 0.9))


def test_the_ratio_of_all_traits_is_a_calibrated_probability():
    """At even odds sigmoid(ratio) is the probability of malignancy: its errors average to 0."""
    rng = np.random.default_rng(0)
    truth = np.arange(2400) % 2 == 1
    ratios = np.array(
        [log_likelihood_ratio(draw_traits(rng, t, CUES), CUES) for t in truth.tolist()]
    )
    error = truth - 1 / (1 + np.exp(-ratios))
    assert error.mean() == pytest.approx(0, abs=0.02)
    assert (error * np.clip(ratios, -4, 4)).mean() == pytest.approx(0, abs=0.06)


@pytest.mark.parametrize("name", BELLS)
def test_both_classes_overlap_in_every_cue(name):
    rng = np.random.default_rng(0)
    cue = getattr(CUES, name)
    well, ill = (
        np.sort([cue.draw(rng, malignant) for _ in range(400)]) for malignant in (False, True)
    )
    assert max(well[20], ill[20]) < min(well[-20], ill[-20])


def test_volume_of_a_painted_node_lies_between_ellipsoid_and_cylinder():
    """Its ends are blunt: (across^4 + along^4)^(1/4), between the two bodies."""
    a, b, c = PLAIN.semi_axes_mm
    volume = float(_painted(_node()).share.sum()) * FINE_MM**3
    assert 4 / 3 * np.pi * a * b * c < volume < 2 * np.pi * a * b * c


def test_a_node_has_its_brightness_in_the_middle_and_none_outside():
    part = _painted(_node())
    middle = tuple(n // 2 for n in part.share.shape)
    assert part.share[middle] == pytest.approx(1.0)
    assert part.weighted_hu[middle] == pytest.approx(80.0)
    assert part.share[0].max() == 0


def test_a_necrotic_core_is_dark_and_a_hilum_is_fat():
    for traits, low, high in (
        ({"core_part": 0.6, "core_hu": 8.0}, 0, 20),
        ({"hilum_part": 0.6}, -80, -40),
    ):
        part = _painted(_node(Traits(**{**vars(PLAIN), **traits})))
        inside = part.share > 0.99
        darkest = (part.weighted_hu[inside] / part.share[inside]).min()
        assert low <= darkest <= high


def test_a_thick_slice_is_the_mean_of_the_thin_ones_it_spans():
    thin, thick = _painted(_node(), 1.0), _painted(_node(), 5.0)
    assert thick.share.sum() * 5.0 == pytest.approx(thin.share.sum() * 1.0, rel=0.03)


def test_the_smallest_node_keeps_an_outline_on_thick_slices():
    traits = Traits(**{**vars(PLAIN), "short_axis_mm": 4.0, "stretch": 0.05})
    assert _painted(_node(traits, (0.0, 0.0, 2.5)), 5.0).mask.any()


def test_every_station_has_room_for_a_node_of_middle_size():
    rng = np.random.default_rng(0)
    chest = draw_chest(rng, -60.0)
    for place in PLACES:
        _, free_mm = find_room(rng, place, (4.0, 3.0, 5.0), chest, [])
        assert free_mm >= -1.0, place.code


def test_noise_has_unit_variance_and_little_at_the_lowest_frequencies():
    plane = noise.slice_noise(np.random.default_rng(3), (512, 512), 0.5)
    assert plane.std() == pytest.approx(1.0, abs=0.1)
    coarse = plane.reshape(16, 32, 16, 32).mean(axis=(1, 3)).std()
    assert coarse < 1 / 32  # what white noise would leave
