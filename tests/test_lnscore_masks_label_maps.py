import json
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from db.records import StationKey
from fake_ct import affine_of
from fake_seg import grid_of, on_grid
from lnscore.dicom.geometry import CtGrid, Geometry
from lnscore.errors import Refusal
from lnscore.masks.label_maps import read_label_map
from lnscore.nodes.measuring import measure

SHAPE = (6, 10, 8)
REAL = Path(__file__).parents[2] / "shared" / "data" / "seg-dcmqi"
OBLIQUE = (0.8, 0.6, 0, -0.6, 0.8, 0)


def grid_with(
    orientation=OBLIQUE, spacing_mm=(5.0, 0.8, 0.9), shape=SHAPE, origin_mm=(10, -20, 30)
):
    geometry = Geometry(affine_of(spacing_mm, orientation, origin_mm), shape)
    return CtGrid(
        study_uid="1.2",
        series_uid="1.2.3",
        for_uid="1.2.9",
        sop_uids=("",) * shape[0],
        geometry=geometry,
    )


GRID = grid_with()


def labels_of(shape=SHAPE):
    labels = np.zeros(shape, np.int16)
    labels[1:3, 2:5, 1:4] = 1
    labels[3:5, 6:9, 5:8] = 7
    return labels


def write_nifti(path, labels, grid, order=(0, 1, 2), signs=(1, 1, 1)):
    """Write labels z y x with their axes stored in another order and direction."""
    affine = grid.geometry.affine
    corner = [0 if sign > 0 else n - 1 for sign, n in zip(signs, labels.shape, strict=True)]
    flips = tuple(slice(None, None, sign) for sign in signs)
    stored = labels[flips].transpose(order)
    lps = np.eye(4)
    lps[:3, :3] = (affine[:3, :3] * signs)[:, order][:, ::-1]
    lps[:3, 3] = (affine @ [*corner, 1])[:3]
    image = nib.Nifti1Image(stored.transpose(2, 1, 0), np.diag([-1, -1, 1, 1]) @ lps)
    nib.save(image, path)
    return path


def itk_image(labels, grid, is_vector=False):
    image = sitk.GetImageFromArray(labels, isVector=is_vector)
    affine = grid.geometry.affine
    steps = grid.geometry.steps_mm[::-1]
    image.SetSpacing(steps.tolist())
    image.SetDirection((affine[:3, 2::-1] / steps).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    return image


def write_nrrd(path, labels, grid, keys=(), is_vector=False):
    image = itk_image(labels, grid, is_vector)
    for key, value in dict(keys).items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path), useCompression=True)
    return path


STORAGES = list(product(permutations(range(3)), product((1, -1), repeat=3)))


@settings(max_examples=16, deadline=None)
@given(storage=st.sampled_from(STORAGES), seed=st.integers(0, 99))
def test_flipped_and_permuted_storage_gives_the_same_regions(tmp_path_factory, storage, seed):
    labels = np.random.default_rng(seed).integers(0, 3, SHAPE).astype(np.int16)
    labels[labels == np.random.default_rng(seed).integers(0, 3, SHAPE)] = 0
    labels[0, 0, :2] = 1, 2
    path = write_nifti(tmp_path_factory.mktemp("nifti") / "nodes.nii.gz", labels, GRID, *storage)
    first, second = read_label_map(path, GRID).regions
    assert np.array_equal(on_grid(first, GRID), labels == 1)
    assert np.array_equal(on_grid(second, GRID), labels == 2)


@pytest.mark.parametrize("name", ["nodes.nii", "nodes.nii.gz"])
def test_nibabel_and_we_see_the_same_world(tmp_path, name):
    path = write_nifti(tmp_path / name, labels_of(), GRID)
    region = read_label_map(path, GRID).regions[1]
    image = nib.load(path)
    index = np.argwhere(np.asarray(image.dataobj) == 7)
    ras_mm = nib.affines.apply_affine(image.affine, index).mean(axis=0)
    assert measure(region, GRID).centroid_mm == pytest.approx(tuple(ras_mm * (-1, -1, 1)), abs=1e-3)


@pytest.mark.parametrize("name", ["nodes.nrrd", "nodes.nhdr"])
def test_nrrd_is_read_in_its_place(tmp_path, name):
    path = write_nrrd(tmp_path / name, labels_of(), GRID)
    regions = read_label_map(path, GRID).regions
    assert [(region.label, region.number) for region in regions] == [("label 1", 1), ("label 7", 7)]
    assert np.array_equal(on_grid(regions[1], GRID), labels_of() == 7)


def test_an_nrrd_in_ras_space_is_turned_to_lps(tmp_path):
    grid = grid_with((1, 0, 0, 0, 1, 0))
    path = tmp_path / "ras.nrrd"
    header = (
        "NRRD0004\ntype: uint8\ndimension: 3\nspace: right-anterior-superior\n"
        "sizes: 8 10 6\nspace directions: (-0.9,0,0) (0,-0.8,0) (0,0,5)\n"
        "kinds: domain domain domain\nencoding: raw\nspace origin: (-10,20,30)\n\n"
    )
    path.write_bytes(header.encode() + labels_of().astype(np.uint8).tobytes())
    regions = read_label_map(path, grid).regions
    assert np.array_equal(on_grid(regions[1], grid), labels_of() == 7)


def test_several_components_of_one_of_many_labels_are_one_node(tmp_path):
    labels = labels_of()
    labels[5, 0:2, 0:2] = 7
    first, second = read_label_map(write_nrrd(tmp_path / "a.nrrd", labels, GRID), GRID).regions
    assert "N01" not in measure(first, GRID).warnings
    assert "N01" in measure(second, GRID).warnings


def test_a_map_with_one_label_is_split_into_its_nodes(tmp_path):
    labels = (labels_of() > 0).astype(np.uint8) * 4
    annotated = read_label_map(write_nrrd(tmp_path / "a.nrrd", labels, GRID), GRID)
    assert [region.label for region in annotated.regions] == ["label 4.1", "label 4.2"]
    assert np.array_equal(on_grid(annotated.regions[0], GRID), labels_of() == 1)


def test_ten_thousand_specks_leave_the_node(tmp_path):
    grid = grid_with(shape=(40, 60, 60), spacing_mm=(1.0, 1.0, 1.0))
    labels = np.zeros((40, 60, 60), np.uint8)
    labels[::2, ::2, ::2] = 1
    labels[11:16, 11:16, 11:16] = 1
    annotated = read_label_map(write_nrrd(tmp_path / "a.nrrd", labels, grid), grid)
    (node,) = annotated.regions
    assert node.warnings == ("N09",)


def test_an_empty_map_has_no_nodes_and_is_no_error(tmp_path):
    path = write_nrrd(tmp_path / "a.nrrd", np.zeros(SHAPE, np.uint8), GRID)
    assert read_label_map(path, GRID).regions == ()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_whole_numbers_stored_as_floats_are_labels(tmp_path, dtype):
    path = write_nifti(tmp_path / "a.nii", labels_of().astype(dtype), GRID)
    assert [region.number for region in read_label_map(path, GRID).regions] == [1, 7]


@pytest.mark.parametrize("value", [0.5, -1.0, np.nan, np.inf, 3e9])
def test_floats_that_are_no_labels_are_refused(tmp_path, value):
    labels = labels_of().astype(np.float32)
    labels[2, 2, 2] = value
    path = write_nrrd(tmp_path / "a.nrrd", labels, GRID)
    with pytest.raises(Refusal, match=r"M05: a\.nrrd holds values such as"):
        read_label_map(path, GRID)


def test_an_image_is_no_label_map(tmp_path):
    image = np.full(SHAPE, -1000, np.int16)
    with pytest.raises(Refusal, match=r"M05: .* negative values, down to -1000"):
        read_label_map(write_nrrd(tmp_path / "a.nrrd", image, GRID), GRID)
    with pytest.raises(Refusal, match="M06: a label map that labels more than half"):
        read_label_map(write_nrrd(tmp_path / "b.nrrd", image + 2000, GRID), GRID)


def test_five_hundred_labels_are_the_limit(tmp_path):
    grid = grid_with(shape=(10, 20, 20))
    labels = np.zeros((10, 20, 20), np.int16)
    labels.ravel()[:501] = np.arange(1, 502)
    with pytest.raises(Refusal, match="M06: a label map of 501 labels"):
        read_label_map(write_nrrd(tmp_path / "a.nrrd", labels, grid), grid)


@pytest.mark.parametrize(
    "other",
    [
        grid_with(spacing_mm=(5.0, 0.8, 0.8)),
        grid_with(orientation=(1, 0, 0, 0, 1, 0)),
        grid_with(shape=(7, 10, 8)),
        CtGrid(
            study_uid="1",
            series_uid="1",
            for_uid="1",
            sop_uids=(),
            geometry=Geometry(affine_of((5, 0.8, 0.9), OBLIQUE, (10, -20, 32)), SHAPE),
        ),
    ],
)
def test_another_grid_is_refused_with_both_geometries(tmp_path, other):
    path = write_nrrd(tmp_path / "a.nrrd", labels_of(other.geometry.shape), other)
    with pytest.raises(Refusal, match="M04") as refusal:
        read_label_map(path, GRID)
    assert refusal.value.found.startswith("a.nrrd has ")
    assert "6 x 10 x 8 voxels of 5 x 0.8 x 0.9 mm (z y x) from (10.00, -20.00, 30.00)" in (
        refusal.value.wanted
    )


def test_a_grid_half_as_fine_is_refused_before_its_pixels_are_read(tmp_path):
    path = tmp_path / "huge.nrrd"
    path.write_text(
        "NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\n"
        "sizes: 40000 40000 40000\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n"
        "encoding: raw\nspace origin: (0,0,0)\n\n"
    )
    with pytest.raises(Refusal, match=r"M04: huge\.nrrd has 40000 x 40000 x 40000 voxels"):
        read_label_map(path, GRID)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.seg.nrrd"])
def test_a_damaged_file_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"no label map" * 40)
    with pytest.raises(Refusal, match=f"M01: {name} cannot be read as a label map"):
        read_label_map(tmp_path / name, GRID)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd"])
def test_a_truncated_file_is_refused(tmp_path, name):
    write = write_nrrd if name.endswith("nrrd") else write_nifti
    path = write(tmp_path / name, labels_of(), GRID)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Refusal, match=f"M01: {name} cannot be read"):
        read_label_map(path, GRID)


def test_a_series_of_volumes_is_refused(tmp_path):
    image = nib.Nifti1Image(np.zeros((8, 10, 6, 2), np.uint8), np.eye(4))
    nib.save(image, tmp_path / "a.nii")
    with pytest.raises(Refusal, match=r"M01: .* it has 4 dimensions"):
        read_label_map(tmp_path / "a.nii", GRID)


SEGMENTS = {
    "Segment0_ID": "s0",
    "Segment0_Name": "LN 1 AJCC8:7",
    "Segment0_LabelValue": "1",
    "Segment0_Layer": "0",
    "Segment1_ID": "s1",
    "Segment1_Name": "LN 2",
    "Segment1_LabelValue": "1",
    "Segment1_Layer": "1",
}


def test_overlapping_layers_of_a_seg_nrrd_are_named_and_whole(tmp_path):
    layers = np.zeros((*SHAPE, 2), np.uint8)
    layers[1:4, 2:6, 1:5, 0] = 1
    layers[2:5, 3:7, 2:6, 1] = 1
    path = write_nrrd(tmp_path / "a.seg.nrrd", layers, GRID, SEGMENTS, is_vector=True)
    first, second = read_label_map(path, GRID).regions
    assert (first.label, second.label) == ("LN 1 AJCC8:7", "LN 2")
    assert first.station == StationKey("AJCC8", "2017-ESO", "7")
    assert np.array_equal(on_grid(first, GRID), layers[..., 0] == 1)
    assert np.array_equal(on_grid(second, GRID), layers[..., 1] == 1)


def test_a_single_segment_of_a_seg_nrrd_is_one_node(tmp_path):
    labels = (labels_of() > 0).astype(np.uint8)
    keys = {key: value for key, value in SEGMENTS.items() if key.startswith("Segment0")}
    (region,) = read_label_map(
        write_nrrd(tmp_path / "a.seg.nrrd", labels, GRID, keys), GRID
    ).regions
    assert region.label == "LN 1 AJCC8:7"
    assert "N01" in measure(region, GRID).warnings


def test_a_legend_beside_the_file_names_its_labels(tmp_path):
    path = write_nifti(tmp_path / "nodes.nii.gz", labels_of(), GRID)
    (tmp_path / "nodes.json").write_text(json.dumps({"7": "LN 7 JES11:106recL"}))
    first, second = read_label_map(path, GRID).regions
    assert (first.label, second.label) == ("label 1", "LN 7 JES11:106recL")
    assert second.station == StationKey("JES11", "2015", "106recL")


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.json", "{", "legend a.json"),
        ("a.json", '{"one": "LN 1"}', "invalid literal"),
        ("a.json", '{"1": 2}', "legend a.json"),
        ("a.json", '{"1": "x", "1": "y"}', "one label value twice"),
        ("a.json", "[1, 2]", "legend a.json"),
        ("a.json", "3", "legend a.json"),
        ("a.csv", "label,name\n1,LN 1,x", "exactly two columns"),
        ("a.csv", "label,name\nx,LN 1", "invalid literal"),
    ],
)
def test_a_damaged_legend_is_refused(tmp_path, name, text, found):
    path = write_nrrd(tmp_path / "a.nrrd", labels_of(), GRID)
    (tmp_path / name).write_text(text)
    with pytest.raises(Refusal, match="M09") as refusal:
        read_label_map(path, GRID)
    assert found in refusal.value.found


def test_two_legends_are_one_too_many(tmp_path):
    path = write_nrrd(tmp_path / "a.nrrd", labels_of(), GRID)
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "a.csv").write_text("label,name\n1,LN 1\n")
    with pytest.raises(Refusal, match=r"M09: legend a\.json and a\.csv: two legends"):
        read_label_map(path, GRID)
    (tmp_path / "a.json").unlink()
    assert read_label_map(path, GRID).regions[0].label == "LN 1"


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "voxels"),
    [
        ("heart_seg.nrrd", {3: 41449}),
        ("liver_spine_seg.nrrd", {1: 107098, 2: 12439}),
        ("liver_spine_gapped_seg.nrrd", {1: 107098, 5: 12439}),
    ],
)
def test_real_label_maps_lie_on_their_ct(name, voxels):
    if not REAL.is_dir():
        pytest.skip(f"{REAL} is absent")
    grid = grid_of([dcmread(path) for path in (REAL / "ct-3slice").iterdir()])
    regions = read_label_map(REAL / name, grid).regions
    assert {region.number for region in regions} == set(voxels)
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(REAL / name)))
    assert grid.geometry.affine[2, 0] > 0  # both run to the head, as the file is stored
    for number in voxels:
        found = [on_grid(region, grid) for region in regions if region.number == number]
        assert np.array_equal(np.logical_or.reduce(found), image == number)
