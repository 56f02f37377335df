"""Paths in a refusal's text: a folder's name is often a patient's."""

import pytest

from lnscore.report.privacy import without_paths

PATH = "/in/DOE^JANE/PID 4711/IM0001.dcm"


@pytest.mark.parametrize(
    "text",
    [
        f"{PATH}: cut short",
        f"cut short ({PATH})",
        f"two files, {PATH} and IM0001.dcm",
        "the folder DOE^JANE holds two studies",
        "/elsewhere/DOE/x.dcm cannot be read",
        "'/elsewhere/DOE JANE/x.dcm' cannot be read",
        r"C:\scans\DOE\x.dcm is empty",
        r"\\server\DOE\x.dcm is empty",
    ],
)
def test_no_part_of_a_path_is_left(text: str) -> None:
    cleaned = without_paths(text, PATH)
    assert "[path]" in cleaned
    assert not any(part in cleaned for part in ("DOE", "JANE", "4711", "IM0001", "elsewhere"))


@pytest.mark.parametrize(
    "text",
    [
        "slice gap of 7.5 mm after z = -120.0",
        "12 HU/mm; wanted LPS_MM or RAS_MM, and/or 1/2",
        "the mask has no CT",
        "2.25.1234 and 1.2.840.10008",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert without_paths(text, "/data/mask/ct/x.dcm") == text


def test_a_member_of_an_archive_goes_too() -> None:
    assert without_paths("DOE.dcm is cut short", "/in/a.zip!CT/DOE.dcm") == "[path] is cut short"
