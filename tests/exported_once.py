"""The same network is exported once, however many tests make an engine of it.

A test module asks for it with `pytest_plugins = ["exported_once"]`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest

from engines.back_ends import Precision
from engines.shapes import Patches
from made_once import made_once
from trainer.bundle.demo import phantom_patches, untrained
from trainer.export import graph as export_graph
from trainer.networks.config import NetworkConfig
from trainer.networks.registry import Network
from trainer.semi_supervised import teacher_session

GraphOf = Callable[[Network, Precision], bytes]


@cache
def drawn(count: int, seed: int) -> Patches:
    """Patches to export with, which nobody changes."""
    return phantom_patches(count, np.random.default_rng(seed))


def network_of(config: NetworkConfig) -> Network:
    """The network of that kind that every test exports: its scores are spread."""
    return untrained(config, drawn(24, 6), seed=4)


@pytest.fixture(scope="session")
def graph_of(tmp_path_factory: pytest.TempPathFactory) -> GraphOf:
    """`onnx_bytes`, remembered: an export takes up to ten seconds of the exporter's own."""
    really = export_graph.onnx_bytes

    def once(network: Network, precision: Precision) -> bytes:
        facts = network.config.model_dump_json() + export_graph.weights_sha256(network) + precision
        folder = made_once(
            tmp_path_factory,
            f"graph-{hashlib.sha256(facts.encode()).hexdigest()[:16]}",
            lambda place: (place / "model.onnx").write_bytes(really(network, precision)),
        )
        return (folder / "model.onnx").read_bytes()

    return once


def teacher_graph(factory: pytest.TempPathFactory, network: Network) -> teacher_session.Graph:
    """`exported`, remembered by the network's kind: it does not depend on the weights."""

    def make(folder: Path) -> None:
        graph = teacher_session.exported(network)
        (folder / "model.onnx").write_bytes(graph.model.SerializeToString())
        (folder / "weights.json").write_text(json.dumps(graph.weights))

    kind = hashlib.sha256(network.config.model_dump_json().encode()).hexdigest()[:16]
    folder = made_once(factory, f"teacher-{kind}", make)
    model = onnx.load_model_from_string((folder / "model.onnx").read_bytes())
    return teacher_session.Graph(model, json.loads((folder / "weights.json").read_text()))


@pytest.fixture(scope="module")
def each_graph_once(graph_of: GraphOf) -> Iterator[None]:
    """Bundles of this module are written with graphs that are exported once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_graph, "onnx_bytes", graph_of)
        yield
