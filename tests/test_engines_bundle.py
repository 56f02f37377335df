"""A bundle is read only when every byte is what its manifest says and nothing can run."""

import io
import json
import os
import pickle
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_bundle import DEMO, copy_demo, edit_manifest, edit_model, replace_file
from engines import bundle as bundles
from engines.errors import EngineError
from engines.manifest import Calibration, Manifest, OperatingPoint
from engines.patch import SPEC
from lnscore.errors import CODES


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    return copy_demo(tmp_path / "demo")


def refusal(path: Path) -> EngineError:
    with pytest.raises(EngineError) as caught:
        bundles.read(path)
    assert caught.value.code in CODES
    assert str(path.parent) not in str(caught.value)
    return caught.value


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path / "golden.npz") as arrays:
        return dict(arrays)


def npz(**arrays: np.ndarray) -> bytes:
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    return packed.getvalue()


def test_demo_is_read_and_says_that_its_scores_mean_nothing() -> None:
    manifest = bundles.read(DEMO).manifest
    assert "mean nothing" in manifest.caution
    assert not manifest.verified_on_gpu
    assert manifest.patch.hash == SPEC.hash
    assert manifest.operating_points
    assert "research only" in manifest.research_use
    assert {m.opset for m in manifest.models.values()} == {20}


def test_demo_is_at_most_16_mb() -> None:
    assert sum(file.stat().st_size for file in DEMO.iterdir()) <= 16e6


def test_demo_names_no_place_where_it_was_made() -> None:
    for precision in ("fp32", "fp16"):
        model = onnx.load_model_from_string(bundles.read(DEMO).model_bytes(precision))
        for tensor in model.graph.initializer:
            tensor.ClearField("raw_data")  # random bytes spell anything
        text = model.SerializeToString()
        assert not re.search(rb"\.py\b|/home/|/usr/|site-packages|\bFile |[A-Z]:\\\\", text)
        assert not any(n.metadata_props or n.doc_string for n in model.graph.node)


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "model.fp16.onnx", "golden.npz"])
def test_a_missing_file_is_named(demo: Path, name: str) -> None:
    (demo / name).unlink()
    error = refusal(demo)
    assert (error.code, name in error.found) == ("E01", True)


@pytest.mark.parametrize("name", ["model.onnx", "model.fp16.onnx", "golden.npz"])
def test_one_changed_byte_is_refused(demo: Path, name: str) -> None:
    data = bytearray((demo / name).read_bytes())
    data[len(data) // 2] ^= 1
    (demo / name).write_bytes(data)
    assert refusal(demo).code == "E03"


def test_a_file_changed_after_reading_is_refused_when_it_is_used(demo: Path) -> None:
    bundle = bundles.read(demo)
    (demo / "model.onnx").write_bytes(b"other")
    with pytest.raises(EngineError, match=r"^E03"):
        bundle.model_bytes("fp32")


@pytest.mark.parametrize("name", ["weights.pt", "weights.PKL", "deep/er/x.pickle", "run.py"])
def test_a_file_that_can_run_code_is_refused(demo: Path, name: str) -> None:
    (demo / name).parent.mkdir(parents=True, exist_ok=True)
    (demo / name).write_bytes(b"")
    assert refusal(demo).code == "E05"


def test_plans_built_here_and_other_harmless_files_are_let_be(demo: Path) -> None:
    (demo / "plans").mkdir()
    (demo / "plans" / "sm_89.plan").write_bytes(b"")
    (demo / "NOTES.txt").write_text("from the group")
    bundles.read(demo)


def test_another_patch_specification_is_refused_with_both_hashes(demo: Path) -> None:
    rules = json.loads((demo / "manifest.json").read_text())["patch"] | {"hash": "0123456789abcdef"}
    error = refusal(edit_manifest(demo, patch=rules))
    assert (error.code, "0123456789abcdef" in error.found, SPEC.hash in error.wanted) == (
        "E06",
        True,
        True,
    )


def test_another_manifest_version_is_refused_with_both_versions(demo: Path) -> None:
    error = refusal(edit_manifest(demo, manifest_version=2))
    assert (error.code, error.found, error.wanted) == ("E04", "manifest version 2", "version 1")


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../demo"},
        {"golden": {"file": "../golden.npz", "sha256": "0" * 64}},
        {"golden": {"file": "/etc/passwd", "sha256": "0" * 64}},
        {"golden": {"file": "a\\b", "sha256": "0" * 64}},
        {"models": {}},
        {"models": {"int8": {"file": "m.onnx", "sha256": "0" * 64, "opset": 20}}},
        {"calibration": {"temperature": 0}},
        {"operating_points": [{"name": "x", "threshold": 1.5}]},
        {"surprise": 1},
    ],
)
def test_a_manifest_with_an_unfit_entry_is_refused(demo: Path, changes: dict) -> None:
    assert refusal(edit_manifest(demo, **changes)).code == "E04"


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"{}" + b" " * (1 << 20)])
def test_a_manifest_that_is_none_is_refused(demo: Path, text: bytes) -> None:
    (demo / "manifest.json").write_bytes(text)
    assert refusal(demo).code == "E04"


def test_golden_inputs_are_never_unpickled(demo: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(marker),)

    arrays = arrays_of(demo) | {"fused": np.array([Payload()], dtype=object)}
    packed = io.BytesIO()
    np.savez(packed, **arrays, allow_pickle=True)
    assert refusal(replace_file(demo, "golden.npz", packed.getvalue())).code == "E04"
    assert refusal(replace_file(demo, "golden.npz", pickle.dumps(Payload()))).code == "E04"
    assert not marker.exists()


@pytest.mark.parametrize("name", ["patches", "fused", "fused_logit"])
def test_golden_inputs_without_an_array_are_refused(demo: Path, name: str) -> None:
    arrays = arrays_of(demo)
    del arrays[name]
    assert refusal(replace_file(demo, "golden.npz", npz(**arrays))).code == "E04"


def test_golden_outputs_of_another_length_are_refused(demo: Path) -> None:
    arrays = arrays_of(demo)
    arrays["fused"] = arrays["fused"][:-1]
    assert refusal(replace_file(demo, "golden.npz", npz(**arrays))).code == "E04"


def point_outside(tensor: onnx.TensorProto) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret.bin")


def test_weights_outside_the_file_are_refused(demo: Path) -> None:
    def edit(model: onnx.ModelProto) -> None:
        point_outside(model.graph.initializer[0])

    assert refusal(edit_model(demo, edit)).code == "E07"


def test_weights_outside_the_file_are_found_in_a_nodes_attribute_too(demo: Path) -> None:
    def edit(model: onnx.ModelProto) -> None:
        tensor = onnx.TensorProto(name="hidden", data_type=1, dims=[4])
        point_outside(tensor)
        model.graph.node.append(onnx.helper.make_node("Constant", [], ["extra"], value=tensor))

    assert refusal(edit_model(demo, edit)).code == "E07"


@pytest.mark.parametrize("data", [b"", b"garbage" * 100])
def test_a_graph_that_is_none_is_refused(demo: Path, data: bytes) -> None:
    assert refusal(replace_file(demo, "model.onnx", data)).code == "E07"


def rename_output(model: onnx.ModelProto) -> None:
    old = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["other" if name == old else name for name in node.output]
    model.graph.output[0].name = "other"


def narrow_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 15


def fix_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4


@pytest.mark.parametrize("edit", [rename_output, narrow_input, fix_batch])
def test_a_graph_with_other_ends_is_refused(demo: Path, edit) -> None:
    assert refusal(edit_model(demo, edit)).code == "E07"


def manifest(**changes: object) -> Manifest:
    return bundles.read_manifest(DEMO).model_copy(update=changes)


def test_without_calibration_there_is_no_calibrated_probability() -> None:
    assert manifest(calibration=None).calibrate(np.zeros(2, np.float32)) is None


def test_temperature_divides_the_logit_and_the_bias_is_added() -> None:
    logit = np.log(np.array([0.2, 0.5, 0.8]) / np.array([0.8, 0.5, 0.2]))
    halved = manifest(calibration=Calibration(temperature=2)).calibrate(logit)
    np.testing.assert_allclose(halved, [1 / 3, 0.5, 2 / 3])
    moved = manifest(calibration=Calibration(temperature=1, bias=np.log(4))).calibrate(logit)
    np.testing.assert_allclose(moved, [0.5, 0.8, 16 / 17])


@given(
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=2),
    st.floats(0.05, 20),
    st.floats(-5, 5),
)
def test_calibration_keeps_the_order_and_stays_within_0_and_1(
    logits: list[float], temperature: float, bias: float
) -> None:
    calibration = Calibration(temperature=temperature, bias=bias)
    probability = manifest(calibration=calibration).calibrate(np.sort(np.float32(logits)))
    assert probability is not None
    assert (np.diff(probability) >= 0).all()
    assert ((probability >= 0) & (probability <= 1)).all()


def test_a_score_at_the_threshold_is_a_positive_call() -> None:
    points = [OperatingPoint(name="a", threshold=0.5), OperatingPoint(name="b", threshold=0.6)]
    calls = manifest(operating_points=points).calls(np.array([0.49, 0.5, 0.7]))
    assert {name: c.tolist() for name, c in calls.items()} == {
        "a": [False, True, True],
        "b": [False, False, True],
    }


def test_config_hash_changes_with_calibration_and_not_with_the_date() -> None:
    one = manifest().config_hash
    assert manifest(calibration=Calibration(temperature=2)).config_hash != one
    assert manifest(network={"variant": "large"}).config_hash != one
    assert manifest(created=manifest().created.replace(year=2030)).config_hash == one
