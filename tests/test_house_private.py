"""Tests and benchmarks go through the public names of our packages, never through private ones."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("lnscore", "trainer", "engines", "db", "ground")
BY_NAME = ("setattr", "delattr", "getattr", "hasattr", "object", "patch")
"""Functions that take the name of an attribute as a string, `monkeypatch.setattr` above all."""


def is_private(name: str) -> bool:
    """Whether a name, or a part of a dotted name, is private; `__doc__` is not."""
    return any(
        part.startswith("_") and not part.startswith("__") and part.isidentifier() and len(part) > 1
        for part in name.split(".")
    )


def is_ours(module: str | None) -> bool:
    return module is not None and module.split(".")[0] in PACKAGES


def private_names_of_ours() -> set[str]:
    """Every private name that a module, a class or an instance of our packages has."""
    names = set()
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    names.add(node.name)
                elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
                    names.add(node.id if isinstance(node, ast.Name) else node.attr)
    return {name for name in names if is_private(name)}


PRIVATE = private_names_of_ours()


def imports(node: ast.AST) -> Iterator[str]:
    """What an import statement takes from our packages."""
    if isinstance(node, ast.Import):
        yield from (one.name for one in node.names if is_ours(one.name))
    elif isinstance(node, ast.ImportFrom) and is_ours(node.module):
        yield from (f"{node.module}.{one.name}" for one in node.names)


def attributes(node: ast.AST) -> Iterator[str]:
    """An attribute with a private name of ours, except that of a test's own object, `self`."""
    if isinstance(node, ast.Attribute) and node.attr in PRIVATE:
        owner = node.value
        if not (isinstance(owner, ast.Name) and owner.id in ("self", "cls")):
            yield ast.unparse(node)


def strings(node: ast.AST) -> Iterator[str]:
    """A private name of ours as a string, in a call that takes the name of an attribute."""
    if not isinstance(node, ast.Call):
        return
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name in BY_NAME:
        for one in node.args:
            if isinstance(one, ast.Constant) and isinstance(one.value, str):
                yield from (part for part in one.value.split(".") if part in PRIVATE)


def private_uses(source: str) -> list[str]:
    """Every use of a private name of our packages, with its line."""
    return [
        f"{node.lineno}: {name}"
        for node in ast.walk(ast.parse(source))
        for uses in (imports, attributes, strings)
        for name in uses(node)
        if is_private(name)
    ]


@pytest.mark.parametrize(
    "source",
    [
        "from lnscore.dicom.volume import _slots",
        "from lnscore.dicom import volume\nvolume._slots(1)",
        "import lnscore.dicom.volume\nlnscore.dicom.volume._slots(1)",
        "from db.patchstore import PatchStore\nPatchStore(root)._store(array)",
        "monkeypatch.setattr(volume, '_slots', None)",
        "monkeypatch.setattr('lnscore.dicom.volume._slots', None)",
        "getattr(volume, '_slots')",
    ],
)
def test_each_way_to_a_private_name_is_seen(source):
    assert len(private_uses(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from lnscore.dicom import volume as _volume",
        "usage._replace(free=1)",
        "class Fake:\n    def run(self):\n        return self._store",
        "monkeypatch.setattr(volume, 'place_stack', None)",
        "monkeypatch.setattr(volume, '__doc__', '')",
        "name = '_slots'",
    ],
)
def test_what_is_not_private_to_our_packages_is_allowed(source):
    assert private_uses(source) == []


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_no_test_and_no_benchmark_uses_a_private_name(folder):
    found = [
        f"{file.relative_to(ROOT)}:{use}"
        for file in sorted((ROOT / folder).glob("*.py"))
        for use in private_uses(file.read_text())
    ]
    assert found == []
