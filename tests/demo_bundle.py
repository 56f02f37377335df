"""Copies of the shipped demonstration bundle, sound or damaged on purpose."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

import engines

DEMO = Path(engines.__file__).parent / "bundles" / "demo"


def copy_demo(folder: Path) -> Path:
    """A sound copy, writable."""
    return Path(shutil.copytree(DEMO, folder))


def edit_manifest(path: Path, **changes: Any) -> Path:
    """Replace entries of the manifest; the rest stays."""
    file = path / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return path


def replace_file(path: Path, name: str, data: bytes) -> Path:
    """Other bytes for a named file, and a manifest that states their hash."""
    (path / name).write_bytes(data)
    manifest = json.loads((path / "manifest.json").read_text())
    for entry in (manifest["golden"], *manifest["models"].values()):
        if entry["file"] == name:
            entry["sha256"] = hashlib.sha256(data).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def edit_model(path: Path, edit: Callable[[onnx.ModelProto], object]) -> Path:
    """Change the fp32 graph; its hash in the manifest follows."""
    model = onnx.load(path / "model.onnx")
    edit(model)
    return replace_file(path, "model.onnx", model.SerializeToString())
