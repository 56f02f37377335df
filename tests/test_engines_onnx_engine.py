"""ONNX Runtime as a back end, chosen openly, and indifferent to how nodes are batched."""

import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import jaxtyping
import numpy as np
import onnxruntime
import pytest

from demo_bundle import DEMO, copy_demo, edit_model
from engines import bundle as bundles
from engines import load as engine_loading
from engines import onnx_cuda_engine, onnx_engine
from engines.errors import EngineError
from engines.patch import SPEC, crop
from engines.protocol import Availability
from engines.scores import Scores

BUNDLE = bundles.read(DEMO)


@pytest.fixture(scope="module")
def engine() -> onnx_engine.OnnxEngine:
    return onnx_engine.load(BUNDLE, threads=1)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """As users run it: without the annotation checks that would answer first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def random_patches(nodes: int, seed: int = 0) -> np.ndarray:
    """Golden inputs, shifted, mirrored and noisy: as many as wanted, all different."""
    rng, golden = np.random.default_rng(seed), BUNDLE.golden().patches
    chosen = golden[rng.integers(0, len(golden), nodes)].astype(float)
    chosen += rng.normal(0, 15, (nodes, 1, 1, 1)) + rng.normal(0, 5, chosen.shape)
    return np.rint(chosen).clip(-1024, 3071).astype(np.int16)


def heads(scores: Scores) -> np.ndarray:
    assert scores.local is not None
    assert scores.global_ is not None
    return np.stack([scores.fused, scores.local, scores.global_, scores.fused_logit])


def test_scores_are_probabilities_of_three_heads_and_the_fused_logit(engine) -> None:
    scores = engine.score(random_patches(5))
    assert len(scores) == 5
    for values in heads(scores):
        assert (values.dtype, values.shape) == (np.float32, (5,))
    np.testing.assert_allclose(scores.fused, 1 / (1 + np.exp(-scores.fused_logit)), atol=1e-6)
    assert np.ptp(scores.fused) > 0.05


def test_no_node_gives_no_score(engine) -> None:
    assert heads(engine.score(np.empty((0, *SPEC.size_vox), np.int16))).shape == (4, 0)


def test_a_nodes_score_does_not_depend_on_its_batch_by_a_single_bit(engine) -> None:
    patches = random_patches(engine.batch_nodes + 3)
    together = heads(engine.score(patches))
    alone = np.concatenate([heads(engine.score(p[None])) for p in patches], axis=1)
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal(heads(engine.score(patches[::-1]))[:, ::-1], together)


def test_threads_do_not_change_a_score_by_a_single_bit(engine) -> None:
    patches = random_patches(20)
    three = onnx_engine.load(BUNDLE, threads=3)
    np.testing.assert_array_equal(heads(three.score(patches)), heads(engine.score(patches)))


@pytest.mark.parametrize(("threads", "nodes"), [(1, 16), (2, 32), (8, 128), (16, 256), (64, 512)])
def test_a_batch_feeds_every_thread(threads: int, nodes: int) -> None:
    assert onnx_engine.load(BUNDLE, threads=threads).batch_nodes == nodes


def test_scoring_equals_the_bare_session_on_the_crop(engine) -> None:
    patches = random_patches(3)
    session = onnxruntime.InferenceSession(BUNDLE.model_bytes("fp32"))
    (fused,) = session.run(["fused"], {"hu": crop(patches).astype(np.float32)})
    np.testing.assert_allclose(engine.score(patches).fused, fused, atol=1e-6)


def test_the_margin_of_a_patch_has_no_say(engine) -> None:
    patches = random_patches(2)
    other = np.full_like(patches, 3000)
    crop(other)[...] = crop(patches)
    np.testing.assert_array_equal(heads(engine.score(other)), heads(engine.score(patches)))


def test_hu_beyond_the_window_saturate(engine) -> None:
    low, high = np.full((2, 1, *SPEC.size_vox), -160, np.int16), 240
    low[1] = -32768
    np.testing.assert_array_equal(heads(engine.score(low[0])), heads(engine.score(low[1])))
    top = np.full((1, *SPEC.size_vox), high, np.int16)
    np.testing.assert_array_equal(
        heads(engine.score(top)), heads(engine.score(np.full_like(top, 32767)))
    )


def test_patches_may_be_memory_mapped_and_read_only(engine, tmp_path) -> None:
    patches = random_patches(3)
    np.save(tmp_path / "p.npy", patches)
    mapped = np.load(tmp_path / "p.npy", mmap_mode="r")
    np.testing.assert_array_equal(heads(engine.score(mapped)), heads(engine.score(patches)))


@pytest.mark.parametrize(
    ("patches", "found"),
    [
        (np.zeros((1, 16, 64, 64), np.int16), "shape (1, 16, 64, 64)"),
        (np.zeros((18, 80, 80), np.int16), "shape (18, 80, 80)"),
        (np.zeros((1, 18, 80, 80), np.float32), "type float32"),
        (np.zeros((1, 18, 80, 80), np.int32), "type int32"),
        (np.zeros((1, 18, 80, 80), np.uint16), "type uint16"),
        (np.full((1, 18, 80, 80), np.nan), "type float64 with 115200 voxels that are not finite"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_is_not_hu_patches_is_refused(engine, patches: np.ndarray, found: str) -> None:
    with pytest.raises(EngineError) as refusal:
        engine.score(patches)
    assert refusal.value.code == "E08"
    assert refusal.value.found == f"patches of {found}"
    assert refusal.value.wanted == "int16 HU of shape (node, 18, 80, 80)"


def test_a_model_that_gives_nan_is_refused(tmp_path) -> None:
    def poison(model) -> None:
        for tensor in model.graph.initializer:
            if tensor.name.endswith("fused_head.1.bias"):
                tensor.raw_data = np.array([np.nan], np.float32).tobytes()

    broken = bundles.read(edit_model(copy_demo(tmp_path / "demo"), poison))
    with pytest.raises(EngineError, match=r"^E15: fused output nan for node 0"):
        onnx_engine.load(broken).score(random_patches(2))


def test_fp16_differs_a_little(engine) -> None:
    patches = random_patches(4)
    halved = onnx_engine.load(BUNDLE, "fp16").score(patches)
    off = np.abs(heads(halved) - heads(engine.score(patches)))[:3]
    assert 1e-6 < off.max() < 5e-2


@pytest.mark.usefixtures("unchecked")
def test_a_precision_that_the_bundle_lacks_is_refused() -> None:
    with pytest.raises(EngineError, match=r"^E14: precision int8; wanted one of fp32, fp16"):
        onnx_engine.load(BUNDLE, "int8")  # pyright: ignore[reportArgumentType]


def test_a_provider_that_is_not_here_is_refused_not_replaced() -> None:
    if onnx_engine.PROVIDERS["cuda"] in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(EngineError, match=r"^E02: .*wanted provider 'cuda'"):
        onnx_cuda_engine.load(BUNDLE)


def test_auto_says_on_one_line_what_and_why() -> None:
    engine = engine_loading.load(BUNDLE)
    assert (engine.backend, engine.precision) == ("onnx", "fp32")
    version = onnxruntime.__version__
    expected = f"onnx on cpu, fp32, onnxruntime {version}: best that can run here"
    assert engine.reason.startswith(expected)
    assert "\n" not in engine.reason


def test_auto_says_of_every_better_back_end_why_it_is_not_taken() -> None:
    _, _, why = engine_loading.load(BUNDLE).reason.partition("best that can run here (")
    reasons = dict(part.split(": ", 1) for part in why.removesuffix(")").split("; "))
    assert list(reasons) == [name for name in engine_loading.BACKENDS if name != "onnx"]
    assert all(reasons.values())


def test_an_engine_asked_for_by_name_says_so() -> None:
    assert engine_loading.load(BUNDLE, "onnx").reason.endswith(": asked for")


def test_an_unknown_back_end_lists_the_known_ones() -> None:
    with pytest.raises(EngineError, match=r"^E14: back end 'abacus'; wanted one of auto, .*onnx\."):
        engine_loading.load(BUNDLE, "abacus")


@pytest.fixture
def absent_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A better back end that is not installed, registered by one line and one module."""
    module = SimpleNamespace(
        REQUIRES={"quantum": "9"},
        is_available=lambda: Availability(False, "quantum>=9 is not installed"),
        load=lambda *_: None,
    )
    monkeypatch.setitem(sys.modules, "absent_engine", module)  # pyright: ignore[reportArgumentType]
    here = {"quantum": "absent_engine", "onnx": engine_loading.BACKENDS["onnx"]}
    monkeypatch.setattr(engine_loading, "BACKENDS", here)


@pytest.mark.usefixtures("absent_first")
def test_auto_names_the_better_back_end_that_cannot_run() -> None:
    why = "best that can run here (quantum: quantum>=9 is not installed)"
    assert engine_loading.load(BUNDLE).reason.endswith(why)


@pytest.mark.usefixtures("absent_first")
def test_an_explicit_back_end_that_cannot_run_fails_with_what_is_missing() -> None:
    with pytest.raises(EngineError) as refusal:
        engine_loading.load(BUNDLE, "quantum")
    assert refusal.value.code == "E02"
    assert "quantum: quantum>=9 is not installed" in refusal.value.found
    assert refusal.value.wanted == "a back end that can: onnx"


def test_importing_and_probing_loads_neither_onnxruntime_nor_torch() -> None:
    code = (
        "import sys, lnscore.scoring.engine_choice, engines.onnx_engine as e;"
        "assert e.is_available();"
        "sys.exit(', '.join({'onnxruntime', 'onnx', 'torch'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_scoring_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from engines import bundle, load\n"
        f"b = bundle.read(Path({str(DEMO)!r}))\n"
        "assert len(load.load(b).score(b.golden().patches)) == 5\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
