"""The teacher's graph, exported once, answers as torch does whatever its weights become."""

# ruff: noqa: TID253

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from exported_once import drawn, teacher_graph
from fake_training import TINY, make_cohort, make_unlabelled, quick_ssl, without_masks
from trainer.bundle.demo import CONFIG as SMALL
from trainer.bundle.demo import untrained
from trainer.data.cohort import Cohort
from trainer.data.folds import assign
from trainer.errors import TrainerError
from trainer.export.graph import folded, quickened
from trainer.networks.config import DualNetConfig, NetworkConfig, ResNet3dConfig, SlicesConfig
from trainer.networks.registry import Network, build, placed
from trainer.semi_supervised import stage as semi_supervised_stage
from trainer.semi_supervised import teacher_session
from trainer.semi_supervised.config import SslConfig
from trainer.semi_supervised.fold import SslJob
from trainer.semi_supervised.student import Student
from trainer.semi_supervised.teacher_session import (
    PAYS_NODES,
    Graph,
    TeacherSession,
    begin,
    exported,
)
from trainer.steps.distributed import Ranks

CALIBRATION = drawn(24, 6)
CPU = torch.device("cpu")
NARROW = {"backbone_width": 0.25, "input_upsample": 0.5}
INDEX = np.arange(34, 15, -1)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    made = without_masks(make_cohort(patients=20))
    patches = drawn(len(made.nodes), 5)
    return replace(made, patches=torch.from_numpy(patches))


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Graph]:
    """The network that is exported quickest, and its graph."""
    network = trained(TINY)
    return network, teacher_graph(tmp_path_factory, network)


def trained(config: NetworkConfig, seed: int = 4) -> Network:
    """No two weights alike, no bias 0, statistics of real maps; as training places it."""
    return moved(placed(untrained(config, CALIBRATION, seed), CPU), seed)


def moved(network: Network, seed: int) -> Network:
    """Every weight and every statistic a little elsewhere, as after an epoch."""
    network, drawn = copy.deepcopy(network), torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not name.startswith("views."):
            noise = torch.empty_like(value).normal_(generator=drawn)
            value *= 1 + 0.02 * noise
            value += 0.01 * noise if name.endswith("bias") else 0
    return network


def torch_logits(network: Network, cohort: Cohort, index: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        hu = cohort.patches[torch.from_numpy(index), 1:17, 8:72, 8:72].float()
        return network.eval()(hu).fused.numpy()


def chance(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(float)))


def agree(session: TeacherSession, network: Network, cohort: Cohort) -> None:
    got = session.logits_of(network, cohort, INDEX)
    wanted = torch_logits(network, cohort, INDEX)
    assert (got.dtype, got.shape) == (np.float32, wanted.shape)
    assert np.ptp(chance(wanted)) > 0.1
    np.testing.assert_allclose(chance(got), chance(wanted), atol=3e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        pytest.param(SMALL.model_copy(update=NARROW), id="narrow"),
        pytest.param(SlicesConfig(group_stride=3, fpn_channels=32), id="resnet18"),
        pytest.param(
            SlicesConfig(backbone="mobilevitv2", group_stride=3, fpn_channels=32),
            id="mobilevitv2",
        ),
    ],
)
def test_one_export_serves_every_epoch(
    config: NetworkConfig, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Over 10 s: the exporter's own, once for each kind of network, and no graph fits another.
    network, session = trained(config), TeacherSession()
    agree(session, network, cohort)
    monkeypatch.setattr(teacher_session, "exported", pytest.fail)
    after = moved(network, 7)
    apart = torch_logits(after, cohort, INDEX) - torch_logits(network, cohort, INDEX)
    assert np.abs(apart).max() > 0.01
    agree(session, after, cohort)
    agree(session, network, cohort)


@pytest.mark.slow
def test_a_graph_has_every_weight_whatever_they_are_at_its_export(
    quick: tuple[Network, Graph],
) -> None:
    """Of a fresh network the exporter would drop the biases, 0, and merge weights that are 1."""
    network, graph = quick
    fresh = exported(build(network.config))
    assert fresh.weights == graph.weights
    assert len(fresh.model.graph.node) == len(graph.model.graph.node)
    names = quickened(folded(network)).state_dict()
    assert set(graph.weights.values()) == {n for n in names if n.endswith((".weight", ".bias"))}


def test_a_score_does_not_depend_on_threads_or_company(
    quick: tuple[Network, Graph], cohort: Cohort
) -> None:
    network, graph = quick
    session = TeacherSession(graph)
    together = session.logits_of(network, cohort, INDEX)
    torch.set_num_threads(2)
    np.testing.assert_array_equal(session.logits_of(network, cohort, INDEX), together)
    torch.set_num_threads(1)
    apart = [session.logits_of(network, cohort, part) for part in (INDEX[:7], INDEX[7:])]
    np.testing.assert_array_equal(np.concatenate(apart), together)


def without_a_weight(graph: Graph) -> Graph:
    kept = dict(graph.weights)
    del kept["network.fused_head.1.weight"]
    return Graph(copy.deepcopy(graph.model), kept)


def test_a_graph_that_lost_a_weight_is_exported_again(
    quick: tuple[Network, Graph], cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, graph = quick
    session = TeacherSession(without_a_weight(graph))
    monkeypatch.setattr(teacher_session, "exported", lambda network: graph)
    agree(session, moved(network, 8), cohort)
    assert session.graph is graph


def test_an_export_that_keeps_losing_a_weight_is_refused(
    quick: tuple[Network, Graph], cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, graph = quick
    monkeypatch.setattr(teacher_session, "exported", lambda network: without_a_weight(graph))
    with pytest.raises(TrainerError, match=r"^T64: an exported teacher .* from torch's; wanted"):
        TeacherSession().logits_of(moved(network, 9), cohort, INDEX)


def job_of(network: nn.Module, cohort: Cohort, config: SslConfig) -> SslJob:
    return SslJob(
        network=network,
        config=config,
        cohort=cohort,
        unlabelled=make_unlabelled(cohort),
        fold=assign(cohort, 0)[0],
        place=Path(),
        device=CPU,
        ranks=Ranks(),
        watch=lambda done, total, note: None,
    )


def test_only_a_long_run_of_a_network_that_exports_pays(cohort: Cohort) -> None:
    with torch.device("meta"):
        plain, volume, masked = map(build, (SMALL, ResNet3dConfig(), DualNetConfig()))
    long = -(-PAYS_NODES // len(make_unlabelled(cohort).index))
    assert begin(job_of(plain, cohort, quick_ssl(epochs=long))) is not None
    assert begin(job_of(plain, cohort, quick_ssl(epochs=long - 1))) is None
    assert begin(job_of(plain, cohort, quick_ssl(epochs=long, precision="bf16"))) is None
    for other in (volume, masked):
        assert begin(job_of(other, cohort, quick_ssl(epochs=long))) is None
    gpu = replace(job_of(plain, cohort, quick_ssl(epochs=long)), device=torch.device("cuda"))
    assert begin(gpu) is None


def test_a_refresh_takes_the_session_where_there_is_one_and_torch_elsewhere(
    quick: tuple[Network, Graph], cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, graph = quick
    job, teacher = job_of(network, cohort, quick_ssl()), Student(network, None)
    places = job.unlabelled.index
    wanted = chance(torch_logits(network, cohort, places))
    by_session = semi_supervised_stage.refresh(job, teacher, TeacherSession(graph))
    monkeypatch.setattr(teacher_session, "session_of", pytest.fail)
    by_torch = semi_supervised_stage.refresh(job, teacher, begin(job))
    np.testing.assert_allclose(by_session, wanted, atol=2e-5)
    np.testing.assert_allclose(by_torch, wanted, atol=1e-6)
