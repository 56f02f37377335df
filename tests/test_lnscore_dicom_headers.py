"""A hostile or broken file costs a refusal with its code: no crash, no allocation, no guess."""

import resource
import struct
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from fake_ct import affine_of, make_ct, ramp, save
from lnscore.dicom import headers
from lnscore.dicom.headers import read_header
from lnscore.dicom.plain_headers import NotPlain
from lnscore.errors import CODES, Refusal
from scans import scans_of


@pytest.fixture
def ct_file(tmp_path) -> Path:
    return save(make_ct((1, 8, 8)), tmp_path)[0]


def header(path: Path):
    return read_header(str(path), path.name)


def refusal(path: Path) -> Refusal:
    with pytest.raises(Refusal) as caught:
        header(path)
    assert caught.value.code in CODES
    return caught.value


def outcome(path: Path) -> str:
    """The refusal's code, or 'read'."""
    try:
        header(path)
    except Refusal as error:
        return error.code
    return "read"


def rewritten(path: Path, **changes) -> Path:
    dataset = dcmread(path)
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_a_whole_number_of_two_digits_is_no_binary_one(ct_file, syntax):
    """Implicit VR does not say that the two bytes `1 ` are text."""
    dataset = dcmread(ct_file)
    dataset.NumberOfFrames = 1
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(ct_file, implicit_vr=syntax.is_implicit_VR, little_endian=True)
    assert outcome(ct_file) == "read"


@pytest.mark.parametrize(
    "content", [b"", b"a short note", b"\xff\xd8\xff\xe0JFIF" * 60, bytes(400)]
)
def test_what_is_not_dicom_is_left_out(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert header(path) is None


def test_noise_after_the_dicom_mark_is_refused(tmp_path):
    path = tmp_path / "noise.dcm"
    path.write_bytes(bytes(128) + b"DICM" + np.random.default_rng(0).bytes(4000))
    assert refusal(path).code == "F01"


def test_a_length_that_lies_allocates_nothing(ct_file):
    data = ct_file.read_bytes()
    at = data.index(b"\x10\x00\x10\x00PN")  # PatientName: a 4 GiB sequence of bytes instead
    ct_file.write_bytes(data[:at] + b"\x10\x00\x10\x00UN\x00\x00\xf0\xff\xff\xff" + data[at + 8 :])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(ct_file).code == "F01"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize("depth", [300, 20_000])
def test_sequences_nested_without_end_are_refused(ct_file, depth):
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    nest = (b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff" + item) * depth
    data = ct_file.read_bytes()
    at = data.index(b"\x10\x00\x10\x00PN")
    ct_file.write_bytes(data[:at] + nest + data[at:])
    assert refusal(ct_file).code == "F01"


def test_a_deflated_file_is_refused_before_it_grows(tmp_path):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = tmp_path / "bomb.dcm"
    shell = Dataset()
    shell.file_meta, shell.SOPClassUID = meta, meta.MediaStorageSOPClassUID
    shell.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    shell.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    end = 144 + struct.unpack("<I", data[140:144])[0]
    deflated = b"1.2.840.10008.1.2.1.99"
    grown = data[:end].replace(
        b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\x00",
        b"\x02\x00\x10\x00UI\x16\x00" + deflated,
    )
    grown = grown[:140] + struct.pack("<I", len(grown) - 144) + grown[144:]
    squeeze = zlib.compressobj(wbits=-15)
    path.write_bytes(grown + squeeze.compress(bytes(200 << 20)) + squeeze.flush())
    assert refusal(path).code == "F03"


def test_a_picture_of_sixteen_million_pixels_and_more_is_refused(ct_file):
    assert refusal(rewritten(ct_file, Rows=65535, Columns=65535)).code == "F07"


def test_two_million_frames_are_refused(ct_file):
    assert refusal(rewritten(ct_file, NumberOfFrames="2000000")).code == "F05"


def test_a_patient_id_of_several_values_is_refused(ct_file):
    assert refusal(rewritten(ct_file, PatientID=["A", "B"])).code == "F06"


@pytest.mark.filterwarnings("ignore:The value length")
def test_a_patient_id_of_a_kilobyte_is_refused(ct_file):
    assert refusal(rewritten(ct_file, PatientID="K" * 1000)).code == "F06"


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_a_file_without_one_of_its_uids_is_refused(ct_file, keyword):
    dataset = dcmread(ct_file)
    delattr(dataset, keyword)
    dataset.save_as(ct_file)
    error = refusal(ct_file)
    assert (error.code, error.found) == ("F13", f"no {keyword}")


@pytest.mark.parametrize(
    "charset", ["ISO_IR 100", "GB18030", ["", "ISO 2022 IR 87"], "ISO_IR 192", "NONSENSE"]
)
@pytest.mark.filterwarnings("ignore")
def test_any_character_set_leaves_the_ids_intact(ct_file, charset):
    dataset = dcmread(ct_file)
    dataset.SpecificCharacterSet = charset
    dataset.add_new(0x00100010, "PN", b"M\xfcller^J\xf6rg")
    dataset.save_as(ct_file)
    read = header(ct_file)
    assert read is not None
    assert read.who.patient_id == "K17"


def test_a_patient_id_in_seven_bit_japanese_is_read_in_its_character_set(ct_file):
    dataset = dcmread(ct_file)
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.PatientID = "山田"
    dataset.save_as(ct_file)
    read = header(ct_file)
    assert read is not None
    assert read.who.patient_id == "山田"


def test_blanks_behind_a_transfer_syntax_do_not_matter(ct_file):
    data = ct_file.read_bytes()
    at = data.index(ExplicitVRLittleEndian.encode())
    longer = b"1.2.840.10008.1.2.4.70  "
    header_at = at - 2
    size = len(longer).to_bytes(2, "little")
    old = int.from_bytes(data[header_at:at], "little")
    changed = data[:header_at] + size + longer + data[at + old :]
    group = 132 + 8  # of the file meta group's length
    length = int.from_bytes(changed[group : group + 4], "little") + len(longer) - old
    ct_file.write_bytes(changed[:group] + length.to_bytes(4, "little") + changed[group + 4 :])
    read = header(ct_file)
    assert read is not None
    assert read.slices[0].pixels.transfer_syntax == "1.2.840.10008.1.2.4.70"


@pytest.mark.parametrize(
    "changes",
    [{"SamplesPerPixel": 3}, {"BitsAllocated": 8}, {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}],
)
def test_colour_eight_bits_and_mr_are_left_out_not_refused(ct_file, changes):
    read = header(rewritten(ct_file, **changes))
    assert read is not None
    assert read.kind == "other"


def test_an_unreadable_number_is_a_missing_one(ct_file):
    data = ct_file.read_bytes()
    at = data.index(b"\x28\x00\x30\x00DS")
    length = struct.unpack("<H", data[at + 6 : at + 8])[0]
    ct_file.write_bytes(data[: at + 8] + b"x" * length + data[at + 8 + length :])
    assert header(ct_file).slices[0].spacing_mm is None


def enhanced(tmp_path: Path, frames: int = 12) -> Path:
    """One legacy converted file of the same ramp as `make_ct`."""
    plain = make_ct((frames, 16, 20), hu=ramp((0.5, -0.25, 1.0)))
    first = plain[0]
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.2"
    one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID",
                    "Modality", "ImageType", "Rows", "Columns", "SamplesPerPixel",
                    "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit",
                    "PixelRepresentation"):  # fmt: skip
        setattr(one, keyword, getattr(first, keyword))
    measures, orientation, transformation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = first.PixelSpacing, first.SliceThickness
    orientation.ImageOrientationPatient = first.ImageOrientationPatient
    transformation.RescaleSlope, transformation.RescaleIntercept = "1", first.RescaleIntercept
    shared = Dataset()
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelValueTransformationSequence = Sequence([transformation])
    one.SharedFunctionalGroupsSequence = Sequence([shared])
    order = np.random.default_rng(0).permutation(frames)
    groups = []
    for n in order:
        group, place = Dataset(), Dataset()
        place.ImagePositionPatient = plain[n].ImagePositionPatient
        group.PlanePositionSequence = Sequence([place])
        groups.append(group)
    one.PerFrameFunctionalGroupsSequence = Sequence(groups)
    one.NumberOfFrames = frames
    one.PixelData = b"".join(plain[n].PixelData for n in order)
    path = tmp_path / "enhanced.dcm"
    one.save_as(path, enforce_file_format=True)
    return path


def test_an_enhanced_ct_gives_every_frame_its_place_and_its_hu(tmp_path):
    (scan,) = scans_of([enhanced(tmp_path)])
    assert scan.grid.geometry.shape == (12, 16, 20)
    wanted = affine_of((5, 0.8, 0.8), (1, 0, 0, 0, 1, 0), (0, 0, 0))
    assert np.allclose(scan.grid.geometry.affine, wanted)
    for z in (0, 5, 11):
        assert scan.slice_hu(z)[3, 4] == pytest.approx(0.5 * 3.2 - 0.25 * 2.4 + 5 * z, abs=0.51)


def test_an_enhanced_ct_with_frames_that_are_not_described_is_refused(tmp_path):
    path = enhanced(tmp_path)
    dataset = dcmread(path)
    del dataset.PerFrameFunctionalGroupsSequence[3]
    dataset.save_as(path)
    assert refusal(path).code == "F05"


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(0, 1500), value=st.integers(0, 255))
@pytest.mark.filterwarnings("ignore")
def test_any_changed_byte_gives_a_header_or_a_refusal(ct_file, at, value):
    data = bytearray(ct_file.read_bytes())
    data[at % len(data)] = value
    changed = ct_file.with_name("changed.dcm")
    changed.write_bytes(data)
    assert outcome(changed) in {"read", *CODES}


def spoken(path: Path) -> object:
    """The header, or every word of the refusal."""
    try:
        return header(path)
    except Refusal as error:
        return error.code, str(error)


def refuse_plain(raw: bytes, keywords: tuple[str, ...]):
    raise NotPlain("pydicom must read it")


def by_pydicom(path: Path, monkeypatch) -> object:
    with monkeypatch.context() as patch:
        patch.setattr(headers, "plain_header", refuse_plain)
        return spoken(path)


@pytest.fixture(params=[ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def plain_file(request, tmp_path) -> Path:
    """One slice, empty and absent values in it, in both little-endian encodings."""
    dataset = make_ct((1, 8, 8))[0]
    dataset.file_meta.TransferSyntaxUID = request.param
    dataset.AccessionNumber, dataset.KVP, dataset.TriggerTime = "", None, None
    dataset.PixelPaddingValue, dataset.ConvolutionKernel = -2000, ["B30f", "2"]
    path = tmp_path / "plain.dcm"
    dataset.save_as(
        path,
        implicit_vr=request.param == ImplicitVRLittleEndian,
        little_endian=True,
        enforce_file_format=True,
    )
    return path


def test_a_plain_file_is_read_without_pydicom_and_as_pydicom_reads_it(plain_file, monkeypatch):
    wanted = by_pydicom(plain_file, monkeypatch)
    monkeypatch.setattr(pydicom, "dcmread", None)
    assert header(plain_file) == wanted
    assert header(plain_file).slices[0].pixels.padding == (-2000, -2000)


@pytest.mark.parametrize("size", [200, 40_000])
def test_a_header_longer_than_what_is_read_at_once_is_the_same(plain_file, monkeypatch, size):
    dataset = dcmread(plain_file)
    block = dataset.private_block(0x0019, "LNSCORE TEST", create=True)
    block.add_new(1, "OB", bytes(size))
    dataset.save_as(plain_file)
    assert header(plain_file) == by_pydicom(plain_file, monkeypatch)
    assert header(plain_file).slices[0].pixels.offset > size


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(132, 1500), bytes_=st.binary(min_size=1, max_size=4))
@pytest.mark.filterwarnings("ignore")
def test_changed_bytes_never_make_it_differ_from_pydicom(plain_file, monkeypatch, at, bytes_):
    data = bytearray(plain_file.read_bytes())
    at = 132 + (at - 132) % (len(data) - 132 - len(bytes_))
    data[at : at + len(bytes_)] = bytes_
    changed = plain_file.with_name("changed.dcm")
    changed.write_bytes(data)
    assert spoken(changed) == by_pydicom(changed, monkeypatch)
