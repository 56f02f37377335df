import numpy as np
import pytest

from lnscore.dicom.geometry import CtGrid, Geometry
from lnscore.errors import Refusal
from lnscore.masks.regions import WAITING, check_frame_of_reference, check_slices_present, crop

GRID = CtGrid(
    study_uid="1.2",
    series_uid="1.2.3",
    for_uid="1.2.9",
    sop_uids=("1.1", "1.2"),
    geometry=Geometry(np.eye(4), (2, 4, 4)),
)


def test_crop_keeps_the_voxels_and_their_place():
    mask = np.zeros((3, 5, 6), bool)
    mask[1, 2:4, 3] = True
    cut, origin = crop(mask, (10, 20, 30))
    assert cut.tolist() == [[[True], [True]]]
    assert origin == (11, 22, 33)


def test_crop_of_nothing_is_none():
    assert crop(np.zeros((2, 2, 2), bool)) is None


def test_crop_does_not_hold_the_whole_volume():
    mask = np.zeros((3, 5, 6), bool)
    mask[0, 0, 0] = True
    cut, _ = crop(mask)
    assert cut.base is None or cut.base.size == 1


def test_another_frame_of_reference_is_refused_with_both_uids():
    with pytest.raises(Refusal, match=r"M02.*1\.2\.8.*1\.2\.9"):
        check_frame_of_reference("1.2.8", GRID, "SEG")
    check_frame_of_reference("1.2.9", GRID, "SEG")


def test_absent_images_mean_waiting():
    check_slices_present(["1.2", "1.1"], GRID, "SEG")
    with pytest.raises(Refusal, match=r"refers to 1 CT images .* such as 1\.7") as refusal:
        check_slices_present(["1.1", "1.7"], GRID, "SEG")
    assert refusal.value.code in WAITING
