"""Engines are found and verified."""

import os
from pathlib import Path

import pytest

from demo_bundle import DEMO, replace_file
from engines import bundle as bundles
from engines import load
from engines.errors import EngineError
from lnscore.engine_commands.importing import import_bundle
from lnscore.scoring import engine_choice as job

pytest_plugins = ["engine_folders"]


def test_the_shipped_engine_is_listed_as_what_it_is(home: Path) -> None:
    (row,) = job.list_engines(home)
    assert (row.name, row.place, row.problem) == ("demo", "shipped", None)
    assert row.caution == bundles.read_manifest(DEMO).caution


def test_a_damaged_engine_is_listed_with_its_problem(home: Path, mine: Path) -> None:
    import_bundle(mine, home)
    (home / "mine" / "manifest.json").write_text("{")
    rows = job.list_engines(home)
    assert [row.name for row in rows] == ["demo", "mine"]
    assert rows[1].trained is None
    assert (rows[1].problem or "").startswith("E04: manifest.json")


def test_an_engine_in_a_folder_of_another_name_is_listed_with_its_problem(
    home: Path, mine: Path
) -> None:
    import_bundle(mine, home)
    os.rename(home / "mine", home / "other")
    assert job.list_engines(home)[1].problem == "the folder is 'other', the engine in it 'mine'"


@pytest.mark.parametrize("name", ["absent", "../demo", "", "."])
def test_an_unknown_name_lists_the_known_ones(name: str, home: Path) -> None:
    with pytest.raises(EngineError, match=r"^E11: engine '.*'; wanted one of: demo\. Import it"):
        job.show(name, home)


def test_verify_checks_every_precision_and_gives_the_figures(home: Path) -> None:
    rows = job.verify("demo", home, "onnx")
    assert [(row.backend, row.precision, row.outcome) for row in rows] == [
        ("onnx", "fp32", "passed"),
        ("onnx", "fp16", "passed"),
    ]
    assert all(row.figures is not None and row.figures.spread > 0.2 for row in rows)


def test_verify_names_every_back_end_and_what_the_absent_ones_lack(home: Path) -> None:
    rows = job.verify("demo", home)
    assert {(row.backend, row.precision) for row in rows} == {
        (backend, precision) for backend in load.BACKENDS for precision in ("fp32", "fp16")
    }
    assert all(row.reason for row in rows if row.outcome == "absent")
    assert "failed" not in {row.outcome for row in rows}


def test_verify_says_which_precision_failed_and_how_far_it_is_off(home: Path, mine: Path) -> None:
    import_bundle(mine, home)
    there = home / "mine"
    replace_file(there, "model.fp16.onnx", moved_bias(there))
    fp32, fp16 = job.verify("mine", home, "onnx")
    assert (fp32.outcome, fp16.outcome) == ("passed", "failed")
    assert fp16.reason.startswith("E09: onnx fp16 of 'mine' off its golden outputs by ")


def moved_bias(path: Path) -> bytes:
    import numpy as np
    import onnx

    model = onnx.load(path / "model.fp16.onnx")
    for tensor in model.graph.initializer:
        if tensor.name.endswith("fused_head.1.bias"):
            bias = np.frombuffer(tensor.raw_data, np.float16) + np.float16(1)
            tensor.raw_data = bias.tobytes()
    return model.SerializeToString()
