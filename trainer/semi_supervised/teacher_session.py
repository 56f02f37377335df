"""The teacher in ONNX Runtime: on a CPU it scores the unlabelled nodes faster than torch.

A fold exports its teacher once, as the graph that an engine has, and puts the present weights
into it before every refresh: an export takes longer than most refreshes. Torch checks it.
"""

import gc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from engines.graph import FUSED_LOGIT
from engines.onnx_engine import RUN_NODES, run, session_of
from engines.patch import crop
from trainer.data.cohort import Cohort
from trainer.errors import TrainerError
from trainer.export.graph import folded, onnx_model, quickened
from trainer.networks.registry import Network
from trainer.networks.slices_2d import SliceNetwork
from trainer.networks.two_stream import TwoStream
from trainer.semi_supervised.fold import SslJob
from trainer.steps.forward import logits_of
from trainer.steps.guards import autocast_of

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession

PAYS_NODES = 40_000
"""Scores of a whole fold from which on the export is sure to be worth its time."""

CLOSE = 1e-4
"""Of two probabilities."""

EXPORTED = TwoStream | SliceNetwork
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Graph:
    """An exported network whose weights can be changed.

    Attributes:
        model: The graph; its weights are whatever was put in last.
        weights: The network's name of every initializer that is a weight.
    """

    model: "ModelProto"
    weights: dict[str, str]


@dataclass
class TeacherSession:
    """The teacher of one fold.

    Attributes:
        graph: None before the first refresh.
    """

    graph: Graph | None = None

    def logits_of(self, network: nn.Module, cohort: Cohort, index: np.ndarray) -> np.ndarray:
        """Fused logits of some nodes; a node's does not depend on the others by a single bit.

        Args:
            network: The teacher as it is now, on the CPU; left in evaluation mode.
            cohort: Patches.
            index: Nodes, at least one.

        Returns:
            float32, shape (node,).

        Raises:
            TrainerError: T64 torch answers otherwise, a fresh export included.
        """
        assert isinstance(network, EXPORTED)
        session = self._session(network, cohort, index[:RUN_NODES])
        parts = np.split(index, range(RUN_NODES, len(index), RUN_NODES))
        with ThreadPoolExecutor(torch.get_num_threads()) as runners:
            return np.concatenate(list(runners.map(partial(_run, session, cohort), parts)))

    def _session(self, network: Network, cohort: Cohort, few: np.ndarray) -> "InferenceSession":
        expected = logits_of(network, cohort, few, CPU, partial(autocast_of, CPU, "fp32"))[:, 0]
        off = np.inf
        for missing in (self.graph is None, True):
            if missing:
                self.graph = exported(network)
            assert self.graph is not None
            session = session_of(filled(self.graph, network))
            off = np.abs(_probability(_run(session, cohort, few)) - _probability(expected)).max()
            if off <= CLOSE:
                return session
        raise TrainerError(
            "T64",
            f"an exported teacher whose probabilities are up to {off:.2g} from torch's",
            f"at most {CLOSE:g}",
            "Check the versions of torch, onnxscript and onnxruntime.",
        )


def begin(job: SslJob) -> TeacherSession | None:
    """The session of a fold; None where torch scores: on a GPU, in bf16, in 3D, in short runs.

    A run that is gone on with decides as it did before.
    """
    quick = job.device.type == "cpu" and job.config.precision != "bf16"
    pays = len(job.unlabelled.index) * job.config.epochs >= PAYS_NODES
    return TeacherSession() if quick and pays and isinstance(job.network, EXPORTED) else None


def exported(network: Network) -> Graph:
    """The graph of a network, with drawn numbers for its weights.

    The exporter drops a bias of zeros and keeps equal weights once: no graph for other
    weights. Drawn ones are all different, and so tell as well what became of each.
    """
    # Of training's channels-last weights the exporter would make a slower graph.
    quick = quickened(folded(network)).to(memory_format=torch.contiguous_format)
    weights, drawn = _weights(quick), torch.Generator().manual_seed(0)
    names = {value.normal_(generator=drawn).numpy().tobytes(): n for n, value in weights.items()}
    model = onnx_model(quick, "fp32")
    gc.collect()  # the exporter's cycles, half a second's: now, not amid the first refresh
    known = {c.name: names[c.raw_data] for c in model.graph.initializer if c.raw_data in names}
    return Graph(model, known)


def filled(graph: Graph, network: Network) -> bytes:
    """The ONNX file with a network's weights, which are put into the graph."""
    weights = _weights(quickened(folded(network)))
    for constant in graph.model.graph.initializer:
        if constant.name in graph.weights:
            constant.raw_data = weights[graph.weights[constant.name]].numpy().tobytes()
    return graph.model.SerializeToString()


def _weights(network: nn.Module) -> dict[str, Tensor]:
    """What training changes; the rest follows from the config."""
    state = network.state_dict().items()
    return {name: value for name, value in state if name.endswith((".weight", ".bias"))}


def _run(session: "InferenceSession", cohort: Cohort, index: np.ndarray) -> np.ndarray:
    names = [output.name for output in session.get_outputs()]
    crops = crop(cohort.patches.numpy())[index]  # cropped before it is copied
    return run(session, crops)[names.index(FUSED_LOGIT)]


def _probability(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).sigmoid().numpy()
