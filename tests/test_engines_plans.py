"""Plans are used only as they were built, where they were built: real plans, spoilt."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from demo_bundle import edit_model
from engines import bundle as bundles
from engines import cuda_driver, plans, tensorrt_rtx_engine, tensorrt_run
from engines.back_ends import Precision
from engines.bundle import Bundle
from engines.cuda_driver import Driver
from engines.errors import EngineError
from engines.protocol import Availability
from engines.tensorrt_flavours import RTX, key_here
from fake_plans import NEEDS_RTX, files, state_otherwise, with_plan

pytestmark = NEEDS_RTX


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_plan(tmp_path_factory.mktemp("plans") / "demo")[0].path


@pytest.fixture
def bundle(built: Path, tmp_path: Path) -> Bundle:
    """A copy to spoil."""
    return bundles.read(Path(shutil.copytree(built, tmp_path / "demo")))


def find(bundle: Bundle, precision: Precision = "fp32") -> plans.PlanRecord:
    here = key_here(RTX, precision, 0, bundle.manifest.models[precision].sha256)
    return plans.find(bundle, here, "Build it here.")[0]


def test_a_plan_is_found_with_what_is_known_of_it(bundle) -> None:
    record, (plan, _) = find(bundle), files(bundle)
    assert record.size_bytes == plan.stat().st_size > 1_000_000
    assert (record.key.backend, record.key.precision) == ("tensorrt-rtx", "fp32")
    assert record.key.max_batch == 8
    assert record.layers["float"] > 300
    assert "half" not in record.layers
    assert record.build_s > 0
    assert set(record.tools) == {"tensorrt-rtx", "onnx", "python"}


def test_the_bundle_is_the_same_with_a_plan_in_it(bundle, built) -> None:
    assert bundles.read(bundle.path).manifest == bundle.manifest


def shorten(bundle: Bundle) -> None:
    plan, _ = files(bundle)
    plan.write_bytes(plan.read_bytes()[:-7])


def alter(bundle: Bundle) -> None:
    plan, _ = files(bundle)
    data = bytearray(plan.read_bytes())
    data[len(data) // 2] ^= 1
    plan.write_bytes(data)


def rename(bundle: Bundle) -> None:
    for file in files(bundle):
        file.rename(file.with_name(file.name.replace("-b8-", "-b64-")))


def another_graph(bundle: Bundle) -> None:
    edit_model(bundle.path, lambda model: setattr(model, "model_version", 7))


@pytest.mark.parametrize(
    ("spoil", "code", "found"),
    [
        (shorten, "E37", "bytes with SHA-256"),
        (alter, "E37", "bytes with SHA-256"),
        (lambda b: files(b)[0].unlink(), "E37", "no 'tensorrt-rtx-"),
        (lambda b: files(b)[0].chmod(0o666), "E37", "which every account can write"),
        (rename, "E36", "plan 'tensorrt-rtx-"),
        (lambda b: files(b)[1].write_text("{}"), "E38", "Field required"),
        (lambda b: files(b)[1].write_text(" " * 70_000), "E38", "too large"),
        (lambda b: files(b)[1].unlink(), "E31", "has no fp32 plan of tensorrt-rtx"),
        (lambda b: state_otherwise(b, version="1.6.0"), "E32", "version 1.6.0 of tensorrt-rtx"),
        (lambda b: state_otherwise(b, gpu="8.6"), "E33", "compute capability 8.6"),
        (lambda b: state_otherwise(b, driver="12.4"), "E34", "driver of CUDA 12.4"),
        (another_graph, "E35", "the graph with SHA-256"),
    ],
)
def test_a_spoilt_plan_is_refused(bundle, spoil: Callable, code: str, found: str) -> None:
    spoil(bundle)
    with pytest.raises(EngineError) as refusal:
        find(bundles.read(bundle.path))
    assert refusal.value.code == code
    assert found in refusal.value.found
    assert refusal.value.fix == "Build it here."


def test_a_plan_of_another_precision_is_none(bundle) -> None:
    with pytest.raises(EngineError, match=r"^E31: engine 'demo' has no fp16 plan of tensorrt-rtx"):
        find(bundle, "fp16")


def test_a_plan_that_fits_is_taken_and_older_ones_lie_beside_it(bundle, built) -> None:
    state_otherwise(bundle, version="1.6.0")
    for file in (built / "plans").iterdir():
        shutil.copy2(file, bundle.plans)
    assert find(bundle).key.version == RTX.version
    assert len(plans.records(bundle.path)) == 2


def test_a_folder_that_cannot_be_written_is_said(bundle) -> None:
    record, (plan, _) = find(bundle), files(bundle)
    data = plan.read_bytes()
    shutil.rmtree(bundle.plans)
    bundle.plans.write_text("a file stands there")
    with pytest.raises(EngineError, match=r"^E39: "):
        plans.keep(bundle, record, data)


def test_without_a_driver_nothing_is_loaded(bundle) -> None:
    if isinstance(cuda_driver.probe(), Driver):
        pytest.skip("this machine has a driver")
    with pytest.raises(EngineError, match=r"^E40: back end 'tensorrt-rtx' cannot be used here"):
        tensorrt_rtx_engine.load(bundle)


@pytest.mark.parametrize(
    ("driver", "code", "found"),
    [
        (Driver((12, 4), "8.9", "A GPU"), "E41", "a driver of CUDA 12.4, and"),
        (Driver((13, 0), "9.0", "A GPU"), "E42", "no kernels for A GPU (9.0)"),
    ],
)
def test_a_driver_or_gpu_that_does_not_do_is_named(bundle, monkeypatch, driver, code, found):
    monkeypatch.setattr(cuda_driver, "probe", lambda: driver)
    with pytest.raises(EngineError) as refusal:
        tensorrt_rtx_engine.load(bundle)
    assert refusal.value.code == code
    assert found in refusal.value.found


def test_a_plan_that_the_library_refuses_is_said(bundle, monkeypatch) -> None:
    """The real library, which answers None where no driver is."""
    if isinstance(cuda_driver.probe(), Driver):
        pytest.skip("this machine has a driver: the plan would be loaded")
    monkeypatch.setattr(tensorrt_run, "can_run", lambda _: Availability(True, "pretended"))
    with pytest.raises(EngineError, match=r"^E47: plan 'tensorrt-rtx-.*cannot be loaded: "):
        tensorrt_rtx_engine.load(bundle)
