"""Order of copies and runs on a GPU, on a stand-in: nothing here has run on a real one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.gpu_pipeline import BUFFERS, Gpu, Pipeline
from fake_gpu import FakeGpu, network

OUTPUTS = ("fused", "fused_logit")


def pipeline(gpu: FakeGpu, run_nodes: int, *, graphs: bool = True) -> Pipeline:
    return Pipeline(gpu, network(gpu, run_nodes), OUTPUTS, run_nodes, graphs)


def crops(nodes: int, start: int = 0) -> np.ndarray:
    """Every node of one value of its own."""
    values = np.arange(start, start + nodes, dtype=np.int16)
    return np.broadcast_to(values[:, None, None, None], (nodes, 16, 64, 64))


def test_the_stand_in_has_every_call_of_the_real_one() -> None:
    from engines.cuda_memory import Cuda

    assert isinstance(FakeGpu(), Gpu)
    assert all(hasattr(Cuda, name) for name in dir(Gpu) if not name.startswith("_"))


@pytest.mark.parametrize("nodes", [0, 1, 2, 3, 4, 5, 12, 13])
@pytest.mark.parametrize("graphs", [True, False])
def test_every_node_is_scored_in_order_and_the_last_run_is_filled_up(nodes, graphs) -> None:
    results = pipeline(FakeGpu(), 3, graphs=graphs).run(crops(nodes))
    for name in OUTPUTS:
        np.testing.assert_array_equal(results[name], np.arange(nodes, dtype=np.float32))


@given(seed=st.integers(0, 2**32), nodes=st.integers(1, 11))
@settings(max_examples=40, deadline=None)
def test_no_order_of_the_streams_changes_a_score(seed: int, nodes: int) -> None:
    results = pipeline(FakeGpu(seed), 2).run(crops(nodes))
    np.testing.assert_array_equal(results["fused"], np.arange(nodes, dtype=np.float32))


def test_without_the_wait_for_the_copy_scores_are_wrong(monkeypatch) -> None:
    """The stand-in would show it: this is what the test above relies on."""
    monkeypatch.setattr(FakeGpu, "wait", lambda *_: None)
    wrong = [
        not np.array_equal(pipeline(FakeGpu(seed), 2).run(crops(8))["fused"], np.arange(8))
        for seed in range(8)
    ]
    assert any(wrong)


def test_memory_is_reserved_once_and_used_again() -> None:
    gpu = FakeGpu()
    runs = pipeline(gpu, 2)
    reserved = len(gpu.memory), gpu.pinned_arrays
    for start in (0, 100):
        np.testing.assert_array_equal(
            runs.run(crops(9, start))["fused"], np.arange(start, start + 9, dtype=np.float32)
        )
    assert (len(gpu.memory), gpu.pinned_arrays) == reserved == (3 * BUFFERS, 3 * BUFFERS)


def test_every_run_is_one_graph() -> None:
    gpu = FakeGpu()
    pipeline(gpu, 4).run(crops(9))
    assert gpu.launched == 3
