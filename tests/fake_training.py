"""A cohort in memory, small and quick: bright nodes are malignant."""

# ruff: noqa: TID253

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from db.cohort import CohortNode
from engines.patch import SPEC
from trainer.data.cohort import UNLABELLED, Cohort
from trainer.evaluation import figures
from trainer.networks.config import TwoStreamConfig
from trainer.semi_supervised import config as ssl_config
from trainer.semi_supervised.config import SslConfig
from trainer.semi_supervised.sharpen import BENIGN, MALIGNANT, UNKNOWN
from trainer.semi_supervised.unlabelled import Unlabelled
from trainer.supervised.config import SCRATCH, SupervisedConfig, with_values

TINY = TwoStreamConfig(
    variant="small",
    group_stride=3,
    fpn_channels=8,
    backbone_width=0.25,
    input_upsample=0.5,
    two_stream=False,
    multi_scale=False,
)


@pytest.fixture(scope="module")
def without_curves() -> Iterator[None]:
    """A third of so short a training is the picture of its curves; others draw it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "draw_fold", lambda place: None)
        yield


def quick(**values: object) -> SupervisedConfig:
    """Two short epochs."""
    return with_values(SCRATCH, **({"epochs": 2, "batch": 8, "validate_every": 1} | values))


def quick_ssl(**values: object) -> SslConfig:
    """Two short epochs of small batches, with a teacher that moves."""
    small = {
        "epochs": 2,
        "labelled_batch": 4,
        "unlabelled_batch": 8,
        "selected_per_batch": 4,
        "alpha": 0.9,
        "validate_every": 1,
        "projection": 8,
    }
    return ssl_config.with_values(ssl_config.SCRATCH, **(small | values))


def hidden_truth(cohort: Cohort) -> np.ndarray:
    """What the nodes of the hidden patients of `make_cohort` are."""
    hidden = np.flatnonzero(cohort.labels == UNLABELLED)
    bright = cohort.patches[torch.from_numpy(hidden), 8, 40, 40].numpy() > 80
    return bright.astype(np.int8)


def make_unlabelled(cohort: Cohort) -> Unlabelled:
    """The hidden patients' nodes; a malignant node's station is malignant, every fifth unknown."""
    index = np.flatnonzero(cohort.labels == UNLABELLED)
    truth = hidden_truth(cohort)
    status = np.where(truth == 1, MALIGNANT, BENIGN).astype(np.int8)
    status[::5] = UNKNOWN
    station = np.where(status == UNKNOWN, -1, np.arange(len(index)))
    return Unlabelled(
        index=index,
        status=status,
        station=station,
        whole=np.ones(len(index), bool),
        weak=np.zeros(len(index), bool),
        truth=None,
        excluded={},
    )


def make_cohort(patients: int = 24, nodes: int = 2, hidden: int = 4, seed: int = 0) -> Cohort:
    """Every labelled patient has one malignant node and otherwise benign ones.

    The last `hidden` patients have no labels.
    """
    rng = np.random.default_rng(seed)
    count = patients * nodes
    labels = np.array([int(i % nodes == 0) for i in range(count)], np.int8)
    patches = rng.normal(-100, 15, (count, *SPEC.size_vox))
    patches[:, 7:11, 35:45, 35:45] = 40 + 80 * labels[:, None, None, None]
    masks = np.zeros(patches.shape, np.uint8)
    masks[:, 7:11, 35:45, 35:45] = 255
    labels[count - hidden * nodes :] = UNLABELLED
    facts = tuple(_node(i, i // nodes) for i in range(count))
    return Cohort(
        facts,
        torch.from_numpy(patches.astype(np.int16)),
        torch.from_numpy(masks),
        labels,
        "radiologist",
    )


def without_masks(cohort: Cohort) -> Cohort:
    """The same nodes as a network sees them that needs no mask."""
    return Cohort(cohort.nodes, cohort.patches, None, cohort.labels, cohort.reader)


def _node(number: int, patient: int) -> CohortNode:
    return CohortNode(
        node_id=number + 1,
        tracking_uid=f"2.25.{number}",
        patient_id=patient + 1,
        patient_key=f"{patient:064x}",
        study_uid=f"1.2.{patient}",
        series_id=patient + 1,
        patch_file_sha256="",
        masks_sha256=None,
        patch_index=0,
        spec_hash=SPEC.hash,
        has_mask=True,
        short_axis_mm=5.0 + number % 7,
        long_axis_mm=9.0 + number % 5,
        volume_mm3=200.0 + number,
        station="AJCC8:7",
        slice_mm=5.0,
    )
