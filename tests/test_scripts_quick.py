"""`make quick` runs the tests that belong to a change."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "quick.py"

IMPORTS = {
    "lnscore/masks/seg.py": {"lnscore.errors"},
    "lnscore/masks/__init__.py": set(),
    "lnscore/ingest/job.py": {"lnscore.masks", "lnscore.masks.seg"},
    "lnscore/errors.py": set(),
    "tests/fake_seg.py": {"numpy"},
    "tests/test_lnscore_masks_seg.py": {"lnscore.masks.seg", "fake_seg"},
    "tests/test_lnscore_masks_seg_sizes.py": {"lnscore.masks.seg"},
    "tests/test_lnscore_masks_segments.py": set(),
    "tests/test_lnscore_ingest_job.py": {"lnscore.ingest.job", "fake_seg"},
    "tests/test_lnscore_hazards.py": {"lnscore.masks.seg"},
    "tests/test_docs_pathology.py": set(),
}


@pytest.fixture(scope="module")
def quick() -> ModuleType:
    spec = importlib.util.spec_from_file_location("quick", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SEG = ["tests/test_lnscore_masks_seg.py", "tests/test_lnscore_masks_seg_sizes.py"]


@pytest.mark.parametrize(
    ("changed", "own", "others"),
    [
        ("lnscore/masks/seg.py", SEG, ["hazards", "ingest_job"]),
        ("lnscore/errors.py", [], ["masks_seg", "masks_seg_sizes"]),
        ("tests/fake_seg.py", [], ["masks_seg", "ingest_job"]),
        ("tests/test_lnscore_hazards.py", ["tests/test_lnscore_hazards.py"], []),
        ("docs/pathology.md", ["tests/test_docs_pathology.py"], []),
        ("engines/bundles/demo/golden.npz", [], []),
    ],
)
def test_a_file_has_its_own_tests_and_those_of_its_importers(
    quick: ModuleType, changed: str, own: list[str], others: list[str]
) -> None:
    of_others = [f"tests/test_lnscore_{name}.py" for name in others]
    assert quick.tests_for([changed], IMPORTS) == (own, of_others)


def test_a_test_is_run_once_however_many_of_its_files_have_changed(quick: ModuleType) -> None:
    own, others = quick.tests_for(["lnscore/masks/seg.py", SEG[0], "tests/fake_seg.py"], IMPORTS)
    assert own == SEG
    assert others == ["tests/test_lnscore_hazards.py", "tests/test_lnscore_ingest_job.py"]


def test_every_kind_of_import_is_seen(quick: ModuleType) -> None:
    source = "import a.b\ndef f():\n    from c import d\nfrom . import e\n"
    assert quick.imported(source) == {"a.b", "c", "c.d"}


def test_the_imports_of_this_tree_are_read(quick: ModuleType) -> None:
    imports = quick.read_imports()
    assert "lnscore.masks.seg" in imports["tests/test_lnscore_masks_seg.py"]
    assert (
        "tests/test_lnscore_masks_seg.py" in quick.tests_for(["lnscore/masks/seg.py"], imports)[0]
    )
