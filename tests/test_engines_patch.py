"""The patch contract that ingest, trainer and engines share."""

from dataclasses import fields, replace

import numpy as np
import pytest

from engines.patch import MARGIN_VOX, SPEC, crop


def test_crop_is_the_centred_region_of_16_64_64() -> None:
    z, y, x = np.meshgrid(*(np.arange(n) for n in (18, 80, 80)), indexing="ij")
    for index, start, stop in ((z, 1, 16), (y, 8, 71), (x, 8, 71)):
        cropped = crop(index[None].astype(np.int16))
        assert cropped.shape == (1, 16, 64, 64)
        assert (cropped.min(), cropped.max()) == (start, stop)


def test_crop_of_a_mirrored_patch_is_the_mirrored_crop() -> None:
    patches = np.random.default_rng(0).integers(-1024, 3071, (2, 18, 80, 80), np.int16)
    for axis in (1, 2, 3):
        np.testing.assert_array_equal(crop(np.flip(patches, axis)), np.flip(crop(patches), axis))


def test_crop_copies_nothing() -> None:
    patches = np.zeros((3, 18, 80, 80), np.int16)
    assert np.shares_memory(crop(patches), patches)


def test_margin_is_the_same_on_both_sides() -> None:
    assert MARGIN_VOX == (1, 8, 8)
    assert all(
        size == cropped + 2 * margin
        for size, cropped, margin in zip(SPEC.size_vox, SPEC.crop_vox, MARGIN_VOX, strict=True)
    )


def test_hash_of_version_1_is_fixed() -> None:
    # Bundles and databases hold it: if this fails, raise `version` and migrate.
    assert (SPEC.version, SPEC.hash) == (1, "613b013db95f28e7")


@pytest.mark.parametrize("name", [field.name for field in fields(SPEC)])
def test_every_rule_is_in_the_hash(name: str) -> None:
    value = getattr(SPEC, name)
    other = (9, 9, 9) if isinstance(value, tuple) else value + 1
    assert replace(SPEC, **{name: other}).hash != SPEC.hash
