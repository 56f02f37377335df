"""The import contracts of pyproject.toml: kept as the code stands, and each broken by a plant."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("lnscore", "trainer", "engines", "db", "ground")
PLANTS = {
    "packages: lnscore > trainer > engines, db > ground": (
        "engines/scores.py",
        "import db.session",
    ),
    "torch-free: only trainer imports torch": ("engines/scores.py", "import torch"),
    "rooms of lnscore: commands above, what is read below": (
        "lnscore/dicom/geometry.py",
        "import lnscore.masks.regions",
    ),
    "rooms of trainer: tables above, networks below": (
        "trainer/networks/config.py",
        "import trainer.steps.losses",
    ),
    "circles: no two modules or rooms import each other": (
        "lnscore/masks/contours.py",
        "def late() -> None:\n    import lnscore.masks.rtstruct",
    ),
    "blind: scoring never reads pathology or labels": (
        "lnscore/scoring/summary.py",
        "import db.labels",
    ),
    "equations: losses, teacher and label sharpening know no database and no files": (
        "trainer/steps/losses.py",
        "import pathlib",
    ),
    "equations: nothing that they import knows a database": (
        "trainer/networks/config.py",
        "import db.session",
    ),
    "SQL only in db": ("lnscore/report/job.py", "import sqlalchemy"),
    "printing only in lnscore.cli and lnscore.console": (
        "lnscore/scoring/job.py",
        "import rich",
    ),
}
"""A contract, and what breaks it: a line at the end of a module."""


def checked(folder: Path) -> dict[str, str]:
    """KEPT or BROKEN of every contract, for the packages in a folder."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    wide = os.environ | {"COLUMNS": "200"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=wide)
    assert "KEPT" in done.stdout, done.stdout + done.stderr
    return dict(re.findall(r"^(.+?) (KEPT|BROKEN)$", done.stdout, re.MULTILINE))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        only_code = shutil.ignore_patterns("*.pyc", "*.onnx", "*.npz", "*.csv", "*.json")
        shutil.copytree(ROOT / package, folder / package, ignore=only_code)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_every_contract_has_a_plant_and_is_kept_without_it(copy: Path) -> None:
    assert checked(copy) == dict.fromkeys(PLANTS, "KEPT")


@pytest.mark.parametrize("contract", PLANTS)
def test_a_planted_import_breaks_its_contract(copy: Path, contract: str) -> None:
    name, line = PLANTS[contract]
    module = copy / name
    before = module.read_text()
    module.write_text(f"{before}\n{line}\n")
    try:
        assert checked(copy)[contract] == "BROKEN"
    finally:
        module.write_text(before)


def test_the_ground_contracts_name_every_module_of_the_ground_floor() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for module in (ROOT / "lnscore").glob("*.py"):
        name = f"lnscore.{module.stem}"
        if module.stem not in ("__init__",):
            assert re.search(rf"\b{re.escape(name)}\b", text), name


def test_a_job_cannot_print_on_standard_output() -> None:
    """Printing on standard output is in lnscore.cli.printing, which no job may import."""
    console = (ROOT / "lnscore/console.py").read_text()
    assert "stderr=True" in console
    assert "sys.stdout" not in console


def classes() -> list[tuple[Path, ast.ClassDef]]:
    return [
        (file.relative_to(ROOT), node)
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef)
    ]


def test_records_of_more_than_five_fields_are_built_by_keyword_only() -> None:
    for file, node in classes():
        decorators = [ast.unparse(one) for one in node.decorator_list]
        fields = [
            one
            for one in node.body
            if isinstance(one, ast.AnnAssign) and "ClassVar" not in ast.unparse(one.annotation)
        ]
        if any(one.startswith("dataclass") for one in decorators) and len(fields) > 5:
            assert any("kw_only=True" in one for one in decorators), f"{file} {node.name}"


def test_a_class_name_means_one_thing() -> None:
    seen: dict[str, Path] = {}
    for file, node in classes():
        if node.name.startswith("_") or "migrations" in file.parts:
            continue
        assert seen.setdefault(node.name, file) == file, f"{node.name}: {file}, {seen[node.name]}"


def test_no_line_of_a_docstring_begins_with_of() -> None:
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            clipped = re.search(r"^\s+[\w`]+: Of |\"\"\"Of |help=\"Of ", file.read_text(), re.M)
            assert clipped is None, f"{file.relative_to(ROOT)}: {clipped and clipped.group()}"
