"""What real series get wrong (the hazards that other readers pass silently): one test each."""

import copy

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from fake_ct import make_ct, ramp, save
from lnscore.dicom.headers import read_header
from lnscore.dicom.pixels import fingerprint
from lnscore.errors import Refusal
from scans import scans_of, slices_of, stacks_of

RAMP = (0.5, -0.25, 1.0)


def ct(**changes):
    return make_ct((12, 16, 20), hu=ramp(RAMP), **changes)


def refusal(paths, **options) -> Refusal:
    with pytest.raises(Refusal) as caught:
        scans_of(paths, **options)
    return caught.value


def shuffled(slices):
    return [slices[n] for n in np.random.default_rng(5).permutation(len(slices))]


def assert_is_the_ramp(scan) -> None:
    geometry = scan.grid.geometry
    rows, columns = np.meshgrid(*map(np.arange, geometry.shape[1:]), indexing="ij")
    for z in range(geometry.shape[0]):
        index = np.stack([np.full(rows.shape, z), rows, columns], axis=-1).reshape(-1, 3)
        wanted = geometry.to_mm(index) @ np.array(RAMP)
        assert np.abs(scan.slice_hu(z).ravel() - wanted).max() <= 0.51


def test_order_comes_from_positions_not_from_names_or_numbers(tmp_path):
    slices = shuffled(ct())
    for number, one in enumerate(slices):
        one.InstanceNumber = number + 1
    (scan,) = scans_of(save(slices, tmp_path))
    assert scan.grid.geometry.shape == (12, 16, 20)
    assert_is_the_ramp(scan)


@pytest.mark.parametrize(
    "orientation", [(-1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), (1, 0, 0, 0, -1, 0)]
)
def test_any_orientation_and_direction_keeps_every_value_in_place(tmp_path, orientation):
    (scan,) = scans_of(save(shuffled(ct(orientation=orientation)), tmp_path))
    assert_is_the_ramp(scan)


def test_true_oblique_is_used_by_its_affine(tmp_path):
    turn = np.deg2rad(20)
    orientation = (np.cos(turn), np.sin(turn), 0, 0, 0, -1)
    (scan,) = scans_of(save(ct(orientation=orientation), tmp_path))
    assert_is_the_ramp(scan)
    assert "G07" not in scan.flags


def test_a_missing_middle_slice_is_refused_and_its_place_named(tmp_path):
    slices = ct()
    del slices[6]
    error = refusal(save(slices, tmp_path))
    assert str(error) == (
        "G03: 1 missing slices, after 25.0 mm along the stack; wanted a slice every 5.00 mm. "
        "Send the series again, or ingest with --fill-gaps 1 to interpolate (flagged)."
    )


def test_a_missing_slice_is_interpolated_only_when_asked_and_flagged(tmp_path):
    slices = ct()
    del slices[6]
    (scan,) = scans_of(save(slices, tmp_path), fill_gaps=1)
    assert "G08" in scan.flags
    assert scan.grid.sop_uids[6] == ""
    assert_is_the_ramp(scan)


def test_two_missing_in_a_row_are_not_filled_where_one_was_allowed(tmp_path):
    slices = ct()
    del slices[6:8]
    assert refusal(save(slices, tmp_path), fill_gaps=1).code == "G03"


def test_identical_files_count_once(tmp_path):
    slices = ct()
    (scan,) = scans_of(save([*slices, slices[4]], tmp_path))
    assert scan.grid.geometry.shape[0] == 12
    assert "S09" in scan.flags


def test_one_uid_with_two_contents_is_refused(tmp_path):
    slices = ct()
    other = copy.deepcopy(slices[4])
    other.PixelData = bytes(len(other.PixelData))
    error = refusal(save([*slices, other], tmp_path))
    assert error.code == "S01"
    assert slices[4].SOPInstanceUID in error.found


def test_two_slices_at_one_place_that_nothing_tells_apart_are_refused(tmp_path):
    slices = ct()
    other = copy.deepcopy(slices[4])
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    error = refusal(save([*slices, other], tmp_path))
    assert error.code == "S03"
    assert "(0.0, 0.0, 20.0) mm" in error.found


def test_two_slices_a_tenth_of_a_millimetre_apart_are_refused_not_merged(tmp_path):
    slices = ct()
    slices[5].ImagePositionPatient = [0, 0, "20.1"]
    assert refusal(save(slices, tmp_path), fill_gaps=3).code == "G04"


def test_uneven_spacing_is_refused_and_the_step_named(tmp_path):
    slices = ct()
    for one in slices[7:]:
        one.ImagePositionPatient = [0, 0, float(one.ImagePositionPatient[2]) + 2.1]
    error = refusal(save(slices, tmp_path))
    assert error.code == "G04"
    assert "7.10 mm after 30.0 mm" in error.found


@pytest.mark.parametrize("spacing", [5.0, 0.625])
def test_jitter_and_rounding_of_positions_are_accepted(tmp_path, spacing):
    slices = make_ct((40, 4, 4), (spacing, 0.8, 0.8))
    wobble = np.random.default_rng(0).uniform(-0.02, 0.02, 40)
    for number, one in enumerate(slices):
        z = round(number * spacing, 1) if spacing < 1 else number * spacing + wobble[number]
        one.ImagePositionPatient = [0, 0, f"{z:.6f}"]
    (scan,) = scans_of(save(slices, tmp_path))
    assert scan.grid.geometry.steps_mm[0] == pytest.approx(spacing, abs=2e-3)


def test_orientation_jitter_is_accepted(tmp_path):
    slices = ct()
    slices[3].ImageOrientationPatient = [1, "1e-07", 0, "-1e-07", 1, 0]
    assert len(scans_of(save(slices, tmp_path))) == 1


@pytest.mark.parametrize("degrees", [15, -20])
def test_gantry_tilt_is_held_by_the_affine_and_flagged(tmp_path, degrees):
    turn = np.deg2rad(degrees)
    orientation = (1, 0, 0, 0, np.cos(turn), -np.sin(turn))
    slices = ct(orientation=orientation, slice_step_mm=(0, 0, 5.0))
    (scan,) = scans_of(save(slices, tmp_path))
    assert "G07" in scan.flags
    assert_is_the_ramp(scan)


def test_a_slice_off_the_line_of_the_others_is_refused(tmp_path):
    slices = ct()
    slices[5].ImagePositionPatient = [4, 0, 25]
    error = refusal(save(slices, tmp_path))
    assert error.code == "G11"
    assert "(4, 0, 25) mm" in error.found


def test_a_localizer_in_the_series_is_left_out(tmp_path):
    slices = ct()
    scout = make_ct(
        (1, 30, 30),
        orientation=(1, 0, 0, 0, 0, -1),
        series_uid=slices[0].SeriesInstanceUID,
        for_uid=slices[0].FrameOfReferenceUID,
    )[0]
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    (scan,) = scans_of(save([scout, *slices], tmp_path))
    assert scan.grid.geometry.shape == (12, 16, 20)
    assert "S07" in scan.flags


def test_a_scout_that_does_not_say_so_is_left_out_by_its_orientation(tmp_path):
    slices = ct()
    scout = make_ct(
        (1, 30, 30),
        orientation=(1, 0, 0, 0, 0, -1),
        series_uid=slices[0].SeriesInstanceUID,
        for_uid=slices[0].FrameOfReferenceUID,
    )
    (scan,) = scans_of(save([*scout, *slices], tmp_path))
    assert scan.grid.geometry.shape == (12, 16, 20)


def test_an_axial_and_a_coronal_stack_in_one_series_are_two_scans(tmp_path):
    slices = ct()
    coronal = make_ct(
        (8, 10, 10),
        orientation=(1, 0, 0, 0, 0, -1),
        series_uid=slices[0].SeriesInstanceUID,
        for_uid=slices[0].FrameOfReferenceUID,
    )
    scans = scans_of(save([*coronal, *slices], tmp_path))
    assert [scan.grid.geometry.shape[0] for scan in scans] == [12, 8]
    assert scans[1].grid.series_uid == scans[0].grid.series_uid + "#2"


@pytest.mark.parametrize(
    ("tag", "values"),
    [
        ("AcquisitionNumber", (1, 2)),
        ("TemporalPositionIdentifier", (1, 2)),
        ("TriggerTime", ("10", "75")),
        ("AcquisitionTime", ("101500", "101630")),
    ],
)
def test_two_phases_in_one_series_are_two_scans(tmp_path, tag, values):
    first = ct()
    second = make_ct(
        (12, 16, 20), series_uid=first[0].SeriesInstanceUID, for_uid=first[0].FrameOfReferenceUID
    )
    for slices, value in ((first, values[0]), (second, values[1])):
        for one in slices:
            setattr(one, tag, value)
    scans = scans_of(save(shuffled([*first, *second]), tmp_path))
    assert [scan.grid.geometry.shape[0] for scan in scans] == [12, 12]
    assert_is_the_ramp(scans[0])
    assert scans[1].slice_hu(0).max() == -1000


def test_a_number_for_every_table_position_does_not_split_a_series(tmp_path):
    slices = ct()
    for number, one in enumerate(slices):
        one.AcquisitionNumber = number + 1
    assert len(scans_of(save(slices, tmp_path))) == 1


def test_step_and_shoot_with_two_phases_is_split_by_phase_not_by_table_position(tmp_path):
    first = ct()
    second = make_ct(
        (12, 16, 20), series_uid=first[0].SeriesInstanceUID, for_uid=first[0].FrameOfReferenceUID
    )
    for number, pair in enumerate(zip(first, second, strict=True)):
        for phase, one in enumerate(pair):
            one.AcquisitionNumber, one.TriggerTime = number + 1, str(phase * 40)
    assert len(scans_of(save([*first, *second], tmp_path))) == 2


def test_two_frames_of_reference_in_one_series_are_refused(tmp_path):
    slices = ct()
    for one in slices[6:]:
        one.FrameOfReferenceUID = "1.2.3"
    error = refusal(save(slices, tmp_path))
    assert error.code == "S02"
    assert "1.2.3 (6 slices)" in error.found


def test_a_series_without_rescale_is_refused(tmp_path):
    slices = ct(intercept=0.0)
    for one in slices:
        del one.RescaleSlope, one.RescaleIntercept
    assert refusal(save(slices, tmp_path)).code == "S04"


def test_assume_hu_takes_plausible_values_only(tmp_path):
    plausible = make_ct((3, 8, 8), intercept=0.0)
    raw = make_ct((3, 8, 8), intercept=-1024.0)
    for one in [*plausible, *raw]:
        del one.RescaleSlope, one.RescaleIntercept
    (scan,) = scans_of(save(plausible, tmp_path / "a"), assume_hu=True)
    assert scan.slice_hu(1).max() == -1000
    assert refusal(save(raw, tmp_path / "b"), assume_hu=True).code == "S04"


@pytest.mark.parametrize("slope", ["0", "NaN"])
def test_a_slope_that_is_none_is_refused(tmp_path, slope):
    slices = ct()
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    for one in slices:
        one[0x00281053] = RawDataElement(
            Tag(0x00281053), "DS", len(slope), slope.encode(), 0, False, True
        )
    assert refusal(save(slices, tmp_path)).code in ("S04", "S06")


def test_a_map_of_another_unit_is_refused(tmp_path):
    slices = ct()
    for one in slices:
        one.RescaleType = "Z_EFF"
    assert refusal(save(slices, tmp_path)).code == "S05"


def test_rescale_is_applied_slice_by_slice(tmp_path):
    slices = ct()
    for number, one in enumerate(slices):
        stored = np.frombuffer(one.PixelData, "<i2") + 1024.0
        one.RescaleSlope, one.RescaleIntercept = "2", str(-1000 - number)
        one.PixelData = np.round((stored - 1024 * 2 + 1000 + number) / 2).astype("<i2").tobytes()
    (scan,) = scans_of(save(slices, tmp_path))
    geometry = scan.grid.geometry
    for z in (0, 11):
        wanted = geometry.to_mm(np.array([[z, 3, 4]])) @ np.array(RAMP)
        assert scan.slice_hu(z)[3, 4] == pytest.approx(float(wanted[0]), abs=1.6)


@pytest.mark.parametrize("written", [-2000, 63536])
def test_padding_becomes_outside_whatever_way_it_is_written(tmp_path, written):
    slices = make_ct((3, 8, 8), hu=ramp((0, 0, 0), 50))
    for one in slices:
        stored = np.frombuffer(one.PixelData, "<i2").copy()
        stored[:8] = -2000
        one.PixelData = stored.tobytes()
        one.add_new("PixelPaddingValue", "SS" if written < 0 else "US", written)
    (scan,) = scans_of(save(slices, tmp_path))
    assert set(scan.slice_hu(1)[0]) == {-1024.0}
    assert set(scan.slice_hu(1)[1:].ravel()) == {50.0}


def test_a_padding_range_is_padding_throughout(tmp_path):
    slices = make_ct((3, 8, 8), hu=ramp((0, 0, 0), 50))
    for one in slices:
        stored = np.frombuffer(one.PixelData, "<i2").copy()
        stored[:8] = np.arange(8) + 3000
        one.PixelData = stored.tobytes()
        one.add_new("PixelPaddingValue", "SS", 3007)
        one.add_new("PixelPaddingRangeLimit", "SS", 3000)
    (scan,) = scans_of(save(slices, tmp_path))
    assert set(scan.slice_hu(1)[0]) == {-1024.0}


def test_bits_beyond_bits_stored_are_taken_away(tmp_path):
    slices = make_ct((3, 8, 8), hu=ramp((0, 0, 0), 50))
    for one in slices:
        one.PixelRepresentation, one.BitsStored, one.HighBit = 0, 12, 11
        one.PixelData = (np.frombuffer(one.PixelData, "<u2") | 0x8000).astype("<u2").tobytes()
    (scan,) = scans_of(save(slices, tmp_path))
    assert set(scan.slice_hu(0).ravel()) == {50.0}


def test_a_signed_value_in_twelve_bits_keeps_its_sign(tmp_path):
    slices = make_ct((3, 8, 8), hu=ramp((0, 0, 0), -700), intercept=0.0)
    for one in slices:
        one.BitsStored, one.HighBit = 12, 11
        one.PixelData = (np.frombuffer(one.PixelData, "<u2") & 0x0FFF).astype("<u2").tobytes()
    (scan,) = scans_of(save(slices, tmp_path))
    assert set(scan.slice_hu(0).ravel()) == {-700.0}


def test_a_truncated_file_is_refused(tmp_path):
    paths = save(ct(), tmp_path)
    paths[4].write_bytes(paths[4].read_bytes()[:-100])
    error = refusal(paths)
    assert error.code == "F09"
    assert error.found == "540 bytes of pixels"


def test_no_preamble_and_implicit_vr_is_read(tmp_path):
    slices = ct()
    paths = []
    for number, one in enumerate(slices):
        del one.file_meta
        paths.append(tmp_path / f"{number}.dcm")
        one.save_as(paths[-1], implicit_vr=True, little_endian=True)
    (scan,) = scans_of(paths)
    assert_is_the_ramp(scan)


def test_one_slice_of_another_pixel_spacing_is_refused(tmp_path):
    slices = ct()
    slices[5].PixelSpacing = ["0.8", "0.9"]
    error = refusal(save(slices, tmp_path))
    assert (error.code, error.found) == ("G05", "pixel spacing 0.8, 0.9 mm at (0, 0, 25) mm")


@pytest.mark.parametrize("spacing", [["0", "0.8"], None])
def test_pixel_spacing_that_is_none_is_refused(tmp_path, spacing):
    slices = ct()
    for one in slices:
        if spacing is None:
            del one.PixelSpacing
        else:
            one.PixelSpacing = spacing
    assert refusal(save(slices, tmp_path)).code == "G01"


def test_one_slice_of_another_size_is_refused(tmp_path):
    slices = ct()
    slices[5].Rows = 15
    slices[5].PixelData = slices[5].PixelData[: 15 * 20 * 2]
    error = refusal(save(slices, tmp_path))
    assert (error.code, error.found) == ("G02", "an image of 15 x 20 pixels at (0, 0, 25) mm")


def test_a_slice_without_position_is_refused(tmp_path):
    slices = ct()
    del slices[2].ImagePositionPatient
    assert refusal(save(slices, tmp_path)).code == "G01"


@pytest.mark.parametrize("count", [1, 4])
def test_few_slices_are_used_and_flagged(tmp_path, count):
    (scan,) = scans_of(save(make_ct((count, 8, 8)), tmp_path))
    assert scan.grid.geometry.steps_mm[0] == pytest.approx(5.0)
    assert scan.flags == (("G10",) if count == 1 else ("G09",))


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_compressed_slices_give_the_same_hu(tmp_path, syntax):
    slices = make_ct((12, 64, 64), hu=ramp(RAMP))
    (plain,) = scans_of(save(slices, tmp_path / "plain"))
    wanted = plain.slice_hu(7).copy()
    for one in slices:
        one.compress(syntax, generate_instance_uid=False)
    (packed,) = scans_of(save(slices, tmp_path / "packed"))
    assert np.array_equal(packed.slice_hu(7), wanted)


def test_a_compressed_file_without_its_end_is_refused(tmp_path):
    slices = ct()
    for one in slices:
        one.compress(RLELossless, generate_instance_uid=False)
    paths = save(slices, tmp_path)
    paths[3].write_bytes(paths[3].read_bytes()[:-60])
    assert refusal(paths).code == "F09"


def test_an_unknown_transfer_syntax_is_refused_and_named(tmp_path):
    slices = ct()
    for one in slices:
        one.compress(RLELossless, generate_instance_uid=False)
        one.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
    (scan,) = scans_of(save(slices, tmp_path))
    with pytest.raises(Refusal, match=r"F08: pixels in transfer syntax MPEG2"):
        scan.slice_hu(0)


def test_a_header_is_not_read_for_what_is_not_dicom(tmp_path):
    other = tmp_path / "notes.txt"
    other.write_text("Reminder: call the scanner's vendor. " * 20)
    assert read_header(str(other), "notes.txt") is None
    (tmp_path / "empty").touch()
    assert read_header(str(tmp_path / "empty"), "empty") is None


def test_the_fingerprint_is_the_files_sha256(tmp_path):
    import hashlib

    (path, *_) = save(ct(), tmp_path)
    assert fingerprint(str(path))[0] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert dcmread(path).SOPInstanceUID == slices_of([path])[0].sop_uid
    assert stacks_of([path])[0].series_uid == dcmread(path).SeriesInstanceUID
