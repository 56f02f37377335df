"""The whole cohort in memory: all patches as one int16 tensor, and the facts of each node.

It is read once, before the first step. For training on a GPU, `to` copies the tensor to the GPU.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from db import cohort as rows
from db.cohort import CohortNode
from db.patchstore import PatchStore
from db.session import Session
from engines.patch import SPEC
from trainer.errors import TrainerError

UNLABELLED = -1
READERS_AT_ONCE = 4  # threads can run at the same time: hashing and reading release Python's lock


@dataclass(frozen=True)
class Cohort:
    """Nodes with their patches and labels, in the order of the patch store.

    Attributes:
        nodes: Facts of each node from the database.
        patches: HU, int16, shape (node, 18, 80, 80).
        masks: Part of each voxel that the node fills, 0-255, uint8, same shape; zero for a node
            that is marked by a point only. None if masks were not read.
        labels: 1 malignant, 0 benign, -1 not labelled; int8 of shape (node,).
        reader: Name of the reader who gave the labels.
    """

    nodes: tuple[CohortNode, ...]
    patches: Tensor
    masks: Tensor | None
    labels: np.ndarray
    reader: str

    @property
    def patients(self) -> np.ndarray:
        """`patient.id` of every node, shape (node,)."""
        return np.array([node.patient_id for node in self.nodes])

    @property
    def labelled(self) -> np.ndarray:
        """Indices of the labelled nodes."""
        return np.flatnonzero(self.labels != UNLABELLED)

    def to(self, device: torch.device) -> "Cohort":
        """Return the same cohort with its patches and masks on a device."""
        masks = None if self.masks is None else self.masks.to(device)
        return replace(self, patches=self.patches.to(device), masks=masks)


def load(
    session: Session,
    store: PatchStore,
    reader: str,
    *,
    masks: bool = False,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Cohort:
    """Read the patches and labels of all nodes, after a check of each file's hash.

    Args:
        session: Session on a snapshot of the database.
        store: The patch store.
        reader: Name of the reader whose labels are used.
        masks: Whether to read the masks of the nodes too.
        advance: Function called with (nodes read, nodes in total).

    Raises:
        TrainerError: T04 no nodes; T05 no labels by that reader; T06 patches cut by other rules.
        DatabaseError: D16, D17 a patch file is missing or damaged.
    """
    nodes = tuple(rows.nodes(session))
    if not nodes:
        raise TrainerError("T04", "a database without nodes", "nodes", "Run `lnscore ingest`.")
    _check_rules(nodes)
    known = rows.labels(session, reader)
    if not known:
        others = ", ".join(rows.readers(session)) or "none"
        raise TrainerError(
            "T05",
            f"no labels by reader '{reader}' (readers: {others})",
            "labels of nodes",
            "Name a reader with --reader, or bring labels in with `lnscore labels import`.",
        )
    labels = np.array([known.get(node.node_id, UNLABELLED) for node in nodes], np.int8)
    patches, outlines = _read(nodes, store, masks=masks, advance=advance)
    return Cohort(nodes, patches, outlines, labels, reader)


def _check_rules(nodes: Sequence[CohortNode]) -> None:
    other = sum(node.spec_hash != SPEC.hash for node in nodes)
    if other:
        raise TrainerError(
            "T06",
            f"{other} of {len(nodes)} patches cut by other rules",
            f"patches cut by rules {SPEC.hash} (version {SPEC.version})",
            "Ingest those studies again with this version of lnscore.",
        )


def _read(
    nodes: Sequence[CohortNode],
    store: PatchStore,
    *,
    masks: bool,
    advance: Callable[[int, int], None],
) -> tuple[Tensor, Tensor | None]:
    shape = (len(nodes), *SPEC.size_vox)
    patches = torch.empty(shape, dtype=torch.int16)
    outlines = torch.zeros(shape, dtype=torch.uint8) if masks else None
    targets = patches.numpy(), None if outlines is None else outlines.numpy()
    files = [
        list(group) for _, group in groupby(enumerate(nodes), key=lambda one: one[1].series_id)
    ]
    done = 0
    with ThreadPoolExecutor(READERS_AT_ONCE) as pool:
        for count in pool.map(lambda group: _read_file(group, store, *targets), files):
            done += count
            advance(done, len(nodes))
    return patches, outlines


def _read_file(
    group: Sequence[tuple[int, CohortNode]],
    store: PatchStore,
    patches: np.ndarray,
    outlines: np.ndarray | None,
) -> int:
    """Read the nodes of one series, which are in one file; return their number."""
    places = [place for place, _ in group]
    index = [node.patch_index for _, node in group]
    first = group[0][1]
    store.verify(first.patch_file_sha256)
    patches[places] = store.patches(first.patch_file_sha256)[index]
    if outlines is not None and first.masks_sha256 is not None:
        store.verify(first.masks_sha256)
        outlines[places] = store.masks(first.masks_sha256)[index]
    return len(group)
