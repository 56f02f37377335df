"""`auto`: a valid plan, then the CPU's fastest; what is not taken is said."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from demo_bundle import DEMO, copy_demo, edit_model
from engines import bundle as bundles
from engines import load as engine_loading
from engines import onnx_engine, openvino_engine, quick_choice, tensorrt_rtx_engine, tensorrt_run
from engines.bundle import Bundle
from engines.errors import EngineError
from engines.protocol import Availability
from fake_plans import NEEDS_RTX, files, with_plan

BUNDLE = bundles.read(DEMO)
NEEDS_OPENVINO = pytest.mark.skipif(
    not openvino_engine.is_available(), reason="openvino is not installed"
)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LNSCORE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where plans can run, as far as the choice is concerned."""
    here = Availability(True, "pretended")
    monkeypatch.setattr(tensorrt_run, "can_run", lambda _: here)
    monkeypatch.setattr(tensorrt_rtx_engine, "can_run", lambda _: here)


def register(monkeypatch, name: str, state: Availability, engine: object) -> None:
    """A back end of a few lines, as a module of that name."""
    module = SimpleNamespace(REQUIRES={}, is_available=lambda: state, load=lambda *_: engine)
    monkeypatch.setitem(sys.modules, name, module)


@NEEDS_RTX
@pytest.mark.usefixtures("with_gpu")
def test_auto_asks_for_a_plan_before_it_takes_the_cpu() -> None:
    reason = engine_loading.load(BUNDLE).reason
    assert reason.startswith("onnx on cpu")
    assert "tensorrt-rtx: E31, engine 'demo' has no fp32 plan of tensorrt-rtx" in reason


@NEEDS_RTX
@pytest.mark.usefixtures("with_gpu")
def test_auto_says_which_plan_is_spoilt_and_an_explicit_choice_fails(tmp_path) -> None:
    bundle, _ = with_plan(tmp_path / "demo")
    plan, _ = files(bundle)
    plan.write_bytes(b"nonsense")
    assert "tensorrt-rtx: E37, 'tensorrt-rtx-" in engine_loading.load(bundle).reason
    with pytest.raises(EngineError) as refusal:
        engine_loading.load(bundle, "tensorrt-rtx")
    assert refusal.value.code == "E37"
    fix = "lnscore engine build demo --backend tensorrt-rtx --precision fp32 --rebuild"
    assert refusal.value.fix == f"Build it here: {fix}"


def test_auto_goes_on_where_a_back_end_that_seems_to_be_there_does_not_load(monkeypatch) -> None:
    def broken(*_):
        raise EngineError("E02", "this onnxruntime without CUDA", "one with it", "Install it.")

    monkeypatch.setattr("engines.onnx_cuda_engine.load", broken)
    monkeypatch.setattr("engines.onnx_cuda_engine.is_available", lambda: Availability(True, "here"))
    names = {name: engine_loading.BACKENDS[name] for name in ("onnx-cuda", "onnx")}
    monkeypatch.setattr(engine_loading, "BACKENDS", names)
    engine = engine_loading.load(BUNDLE, threads=1)
    assert engine.backend == "onnx"
    assert "onnx-cuda: E02, this onnxruntime without CUDA" in engine.reason


def test_auto_takes_a_plan_that_loads(monkeypatch) -> None:
    taken = onnx_engine.load(BUNDLE, threads=1)
    register(monkeypatch, "plan_engine", Availability(True, "here"), taken)
    monkeypatch.setattr(
        engine_loading, "BACKENDS", {"tensorrt-rtx": "plan_engine", "onnx": "nowhere"}
    )
    assert engine_loading.load(BUNDLE) is taken


@NEEDS_OPENVINO
@pytest.mark.parametrize(
    ("measured", "taken"),
    [
        ({"openvino_ms": 1.0, "onnx_ms": 2.0, "wins": 5}, "openvino"),
        ({"openvino_ms": 1.0, "onnx_ms": 2.0, "wins": 4}, "onnx"),
        ({"openvino_ms": 2.0, "onnx_ms": 1.0, "wins": 0}, "onnx"),
        ({"off": "E09, off its golden outputs"}, "onnx"),
    ],
)
@pytest.mark.usefixtures("cache")
def test_openvino_is_taken_where_it_is_faster(monkeypatch, measured, taken: str) -> None:
    monkeypatch.setattr(quick_choice, "measure", lambda *_: measured)
    engine = engine_loading.load(BUNDLE, threads=1)
    assert engine.backend == taken
    if "off" in measured:
        assert "openvino: E09, off its golden outputs" in engine.reason
    elif taken == "onnx":
        assert f"openvino: {measured['openvino_ms']} ms a node here, onnx" in engine.reason


@pytest.mark.usefixtures("cache")
def test_what_was_measured_is_not_measured_again(monkeypatch) -> None:
    calls = []
    measured = {"openvino_ms": 2.0, "onnx_ms": 1.0, "wins": 1}
    monkeypatch.setattr(quick_choice, "measure", lambda *_: calls.append(1) or measured)
    for _ in range(2):
        assert quick_choice.against_openvino(BUNDLE, "fp32", 1) == (
            "2.0 ms a node here, onnx 1.0, faster in 1 of 5 rounds"
        )
    assert len(calls) == 1


def test_a_damaged_memory_is_measured_again(cache) -> None:
    measured = {"openvino_ms": 2.0, "onnx_ms": 1.0, "wins": 0}
    quick_choice.remember(BUNDLE, "fp32", 1, measured)
    assert quick_choice.remembered(BUNDLE, "fp32", 1) is not None
    assert quick_choice.remembered(BUNDLE, "fp16", 1) is None
    (file,) = cache.iterdir()
    for damage in ("", "[]", "{}", '{"onnx_ms": 1'):
        file.write_text(damage)
        assert quick_choice.remembered(BUNDLE, "fp32", 1) is None


@NEEDS_OPENVINO
def test_the_quick_measurement_times_both() -> None:
    measured = quick_choice.measure(BUNDLE, "fp32", 1)
    assert set(measured) == {"openvino_ms", "onnx_ms", "wins"}
    assert 0 <= float(measured["wins"]) <= quick_choice.ROUNDS
    assert all(0 < float(measured[name]) < 10_000 for name in ("openvino_ms", "onnx_ms"))


@NEEDS_OPENVINO
def test_openvino_that_is_off_its_golden_outputs_is_not_timed(tmp_path) -> None:
    def shift(model) -> None:
        for tensor in model.graph.initializer:
            if tensor.name.endswith("fused_head.1.bias"):
                tensor.raw_data = b"\x00\x00\x80\x3f"

    broken: Bundle = bundles.read(edit_model(copy_demo(tmp_path / "demo"), shift))
    assert str(quick_choice.measure(broken, "fp32", 1)["off"]).startswith("E09, openvino fp32")


def test_where_no_back_end_can_run_all_that_is_missing_is_listed(monkeypatch) -> None:
    register(monkeypatch, "nothing_engine", Availability(False, "not here"), None)
    monkeypatch.setattr(engine_loading, "BACKENDS", {"a": "nothing_engine", "b": "nothing_engine"})
    with pytest.raises(EngineError, match=r"^E02: no back end can run here \(a: not here; b: not"):
        engine_loading.load(BUNDLE)


def test_a_copied_bundle_takes_no_plans_along(tmp_path) -> None:
    """`engine import` copies what the manifest names; plans are built where they run."""
    from lnscore.engine_commands import importing

    source = copy_demo(tmp_path / "demo")
    (source / "plans").mkdir()
    (source / "plans" / "foreign.plan").write_bytes(b"code")
    (source / "manifest.json").write_text(
        (source / "manifest.json").read_text().replace('"demo"', '"mine"')
    )
    shutil.move(source, tmp_path / "mine")
    done = importing.import_bundle(tmp_path / "mine", tmp_path / "home")
    assert not done.bundle.plans.exists()
