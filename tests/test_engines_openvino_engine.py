"""OpenVINO as a back end: float32, indifferent to how nodes are batched, silent."""

import subprocess
import sys

import numpy as np
import pytest

from demo_bundle import DEMO
from engines import bundle as bundles
from engines import openvino_engine
from engines.patch import SPEC

pytestmark = pytest.mark.skipif(
    not openvino_engine.is_available(), reason="openvino is not installed"
)
BUNDLE = bundles.read(DEMO)


@pytest.fixture(scope="module")
def engine() -> openvino_engine.OpenvinoEngine:
    return openvino_engine.load(BUNDLE, threads=1)


def patches(nodes: int) -> np.ndarray:
    golden = BUNDLE.golden().patches
    return golden[np.arange(nodes) % len(golden)] + np.arange(nodes, dtype=np.int16).reshape(
        -1, 1, 1, 1
    )


def test_a_nodes_score_does_not_depend_on_its_batch_by_a_single_bit(engine) -> None:
    given = patches(19)
    together = engine.score(given).fused
    alone = [engine.score(each[None]).fused[0] for each in given]
    np.testing.assert_array_equal(alone, together)


def test_no_node_gives_no_score(engine) -> None:
    assert len(engine.score(np.empty((0, *SPEC.size_vox), np.int16))) == 0


def test_arithmetic_is_float32_whatever_the_processor_offers(engine) -> None:
    assert engine.compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"


def test_nothing_is_loaded_that_could_send_anything() -> None:
    code = (
        "import sys; from pathlib import Path; from engines import bundle, openvino_engine as e\n"
        f"e.load(bundle.read(Path({str(DEMO)!r})), threads=1)\n"
        "loaded = [n for n, m in sys.modules.items() if n.startswith('openvino_telemetry') and m]\n"
        "sys.exit(', '.join(loaded) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
