"""The same weights are exported once, however often a test makes an engine of them.

A test module asks for it with `pytest_plugins = ["exported_once"]`.
"""

from collections.abc import Iterator
from typing import Any

import pytest

GRAPHS: dict[tuple[str, str], bytes] = {}
"""What was exported, by the weights and the precision."""


@pytest.fixture(scope="module")
def each_graph_once() -> Iterator[None]:
    """A real export, remembered: it takes ten seconds, and the runs of these tests are alike."""
    from trainer.export import graph as export_graph

    really = export_graph.onnx_bytes

    def once(network: Any, precision: Any) -> bytes:
        key = (export_graph.weights_sha256(network), precision)
        if key not in GRAPHS:
            GRAPHS[key] = really(network, precision)
        return GRAPHS[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_graph, "onnx_bytes", once)
        yield
