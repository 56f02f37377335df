"""The teacher in ONNX Runtime, which scores unlabelled nodes faster than torch on a CPU.

The teacher is exported once per fold, as the same graph that an engine has. Before each
scoring only its weights are replaced, because an export takes longer than most scorings. The
output is compared with torch.
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
"""Number of scores in a whole fold from which on the export certainly saves time."""

CLOSE = 1e-4
"""Largest allowed difference between the probabilities of torch and ONNX Runtime."""

EXPORTED = TwoStream | SliceNetwork
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Graph:
    """An exported network whose weights can be changed.

    Attributes:
        model: The graph; it contains the weights that were last put in.
        weights: Name of the network's parameter for each initializer that is a weight.
    """

    model: "ModelProto"
    weights: dict[str, str]


@dataclass
class TeacherSession:
    """The exported teacher of one fold.

    Attributes:
        graph: The exported graph; None before the first scoring.
    """

    graph: Graph | None = None

    def logits_of(self, network: nn.Module, cohort: Cohort, index: np.ndarray) -> np.ndarray:
        """Compute the fused logits of some nodes, bit for bit independent of the other nodes.

        Args:
            network: The current teacher, on the CPU; it is left in evaluation mode.
            cohort: The cohort with its patches.
            index: Indices of the nodes in the cohort, at least one.

        Returns:
            Logits, float32, shape (node,).

        Raises:
            TrainerError: T64 the output differs from torch's, even after a fresh export.
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
    """Return the session of a fold, or None if torch scores.

    Torch scores on a GPU, in bf16, for 3D networks and in short runs. The decision depends only
    on the job, so that a resumed run decides as before.
    """
    quick = job.device.type == "cpu" and job.config.precision != "bf16"
    pays = len(job.unlabelled.index) * job.config.epochs >= PAYS_NODES
    return TeacherSession() if quick and pays and isinstance(job.network, EXPORTED) else None


def exported(network: Network) -> Graph:
    """Export a network as a graph with random weights.

    The exporter removes a bias of zeros and stores equal weights once, so that such a graph could
    not take other weights. Random weights are all different, and they also show which initializer
    holds which weight.
    """
    # From the channels-last weights of training the exporter would make a slower graph.
    quick = quickened(folded(network)).to(memory_format=torch.contiguous_format)
    weights, drawn = _weights(quick), torch.Generator().manual_seed(0)
    names = {value.normal_(generator=drawn).numpy().tobytes(): n for n, value in weights.items()}
    model = onnx_model(quick, "fp32")
    gc.collect()  # frees the exporter's cycles now (half a second), not during the first scoring
    known = {c.name: names[c.raw_data] for c in model.graph.initializer if c.raw_data in names}
    return Graph(model, known)


def filled(graph: Graph, network: Network) -> bytes:
    """Put a network's weights into the graph and return the ONNX file."""
    weights = _weights(quickened(folded(network)))
    for constant in graph.model.graph.initializer:
        if constant.name in graph.weights:
            constant.raw_data = weights[graph.weights[constant.name]].numpy().tobytes()
    return graph.model.SerializeToString()


def _weights(network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors that training changes; all others follow from the configuration."""
    state = network.state_dict().items()
    return {name: value for name, value in state if name.endswith((".weight", ".bias"))}


def _run(session: "InferenceSession", cohort: Cohort, index: np.ndarray) -> np.ndarray:
    names = [output.name for output in session.get_outputs()]
    crops = crop(cohort.patches.numpy())[index]  # cropped before it is copied
    return run(session, crops)[names.index(FUSED_LOGIT)]


def _probability(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).sigmoid().numpy()
