"""The gate: golden inputs reproduce, or the engine is refused with the figures."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from demo_bundle import DEMO
from engines import bundle as bundles
from engines import load, parity
from engines.back_ends import Precision
from engines.errors import EngineError
from engines.scores import Scores

BUNDLE = bundles.read(DEMO)
GOLDEN = BUNDLE.golden()


@dataclass
class Replay:
    """An engine that answers what it is told."""

    answer: Scores
    bundle: bundles.Bundle = BUNDLE
    backend: str = "replay"
    precision: Precision = "fp32"
    reason: str = "asked for"
    batch_nodes: int = 16

    def score(self, patches: np.ndarray) -> Scores:
        return self.answer


def moved(by: np.ndarray | float) -> Scores:
    expected = GOLDEN.expected
    return replace(expected, fused=(expected.fused + np.float32(by)).astype(np.float32))


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("backend", list(load.BACKENDS))
def test_golden_inputs_reproduce_on_every_back_end(backend: str, precision: Precision) -> None:
    state = load.availability()[backend]
    if not state:
        pytest.skip(state.reason)
    figures = parity.gate(BUNDLE, load.load(BUNDLE, backend, precision))
    assert figures.nodes == len(GOLDEN.patches)
    assert figures.largest <= parity.LIMITS[precision].largest
    assert figures.mean <= parity.LIMITS[precision].mean
    assert figures.swaps == 0


def test_the_shipped_engine_reproduces_torch_far_within_the_gate() -> None:
    assert parity.measure(load.load(BUNDLE, "onnx"), GOLDEN).largest <= 1e-5


def test_the_shipped_golden_outputs_are_spread_over_every_head() -> None:
    for head in (GOLDEN.expected.fused, GOLDEN.expected.local, GOLDEN.expected.global_):
        assert head is not None
        assert np.ptp(head) > 0.5


@pytest.mark.parametrize(
    ("precision", "by", "passes"),
    [
        ("fp32", 0.9e-4, True),
        ("fp32", 1.1e-4, False),
        ("fp16", 1.9e-3, True),
        ("fp16", np.array([0.8, 0, 0, 0, 0]) * 2e-2, True),
        ("fp16", np.array([1.1, 0, 0, 0, 0]) * 2e-2, False),
        ("fp16", 8e-3, False),  # largest fits, mean does not
    ],
)
def test_the_limits_are_where_they_should_be(precision: Precision, by, passes: bool) -> None:
    engine = Replay(moved(by), precision=precision)
    if passes:
        parity.gate(BUNDLE, engine)
        return
    with pytest.raises(EngineError) as refusal:
        parity.gate(BUNDLE, engine)
    assert refusal.value.code == "E09"
    assert f"{parity.measure(engine, GOLDEN).largest:.1e}" in refusal.value.found


def test_a_side_head_that_is_off_is_refused_too() -> None:
    local = GOLDEN.expected.local
    assert local is not None
    with pytest.raises(EngineError, match=r"^E09"):
        parity.gate(BUNDLE, Replay(replace(GOLDEN.expected, local=local + np.float32(1e-3))))


def golden_of(fused: list[float]) -> bundles.Golden:
    values = np.array(fused, np.float32)
    expected = Scores(values, None, None, values)
    return bundles.Golden(GOLDEN.patches[: len(fused)], expected)


def test_a_swap_within_the_tolerance_is_counted() -> None:
    golden = golden_of([0.1, 0.50000, 0.50005, 0.9])
    swapped = replace(golden.expected, fused=np.array([0.1, 0.50005, 0.5, 0.9], np.float32))
    assert parity.measure(Replay(golden.expected), golden).swaps == 0
    assert parity.measure(Replay(swapped), golden).swaps == 1


@pytest.mark.parametrize("fused", [[0.5, 0.5, 0.5], [0.4, 0.45, 0.5], [0.0, 1.0], []])
def test_golden_outputs_that_would_hide_an_error_are_refused(fused: list[float]) -> None:
    with pytest.raises(EngineError, match=r"^E10"):
        parity.measure(Replay(golden_of(fused).expected), golden_of(fused))


def test_rank_correlation_by_hand_and_beside_scipy() -> None:
    from scipy.stats import spearmanr

    a = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    assert parity.rank_correlation(a, a) == pytest.approx(1.0)
    assert parity.rank_correlation(a, a[::-1]) == pytest.approx(-1.0)
    assert parity.rank_correlation(a[:1], a[:1]) == 1.0
    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, 6, 40).astype(np.float32) for _ in range(2))  # many ties
    assert parity.rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic)
