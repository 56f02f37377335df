"""Read patches from the store in batches, and check them, before the engine needs them.

A batch can hold nodes of several studies. The hash of every patch is compared with the hash in
its row before the patch is scored. A node whose patch is missing or different is refused, and
its whole study with it.
"""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from db.errors import DatabaseError
from db.patchstore import PatchStore
from db.scores import NodeToScore
from engines.patch import SPEC
from engines.shapes import Patches
from lnscore.errors import Refusal

AHEAD = 2
"""Number of batches that are read in advance while the engine scores one."""


@dataclass(frozen=True)
class PatchBatch:
    """Some nodes and their patches, in the order in which they were requested.

    Attributes:
        nodes: Nodes whose patches passed the check.
        patches: Patches of these nodes in HU, shape (node, 18, 80, 80).
        refused: The other nodes, each with the reason.
    """

    nodes: list[NodeToScore]
    patches: Patches
    refused: list[tuple[NodeToScore, Refusal]]


def read_batches(
    nodes: Sequence[NodeToScore], store: PatchStore, size: int
) -> Iterator[PatchBatch]:
    """Read patches in a separate thread, a few batches in advance.

    Hashing releases Python's lock, so it does not slow down the engine.

    Args:
        nodes: Nodes in the order of their patches in the store.
        store: Patch store.
        size: Number of nodes in a batch; the last batch may be smaller.

    Yields:
        Batches in the order of `nodes`.
    """
    running: deque[Future[PatchBatch]] = deque()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="patches") as reader:
        for start in range(0, len(nodes), size):
            running.append(reader.submit(read_batch, nodes[start : start + size], store))
            if len(running) > AHEAD:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def read_batch(nodes: Sequence[NodeToScore], store: PatchStore) -> PatchBatch:
    """Read and check the patches of some nodes."""
    sound: list[NodeToScore] = []
    refused: list[tuple[NodeToScore, Refusal]] = []
    patches = np.empty((len(nodes), *SPEC.size_vox), np.int16)
    file, opened = "", np.empty(0, np.int16)
    for node in nodes:
        try:
            if node.patch_file_sha256 != file:
                opened = store.patches(node.patch_file_sha256)
                file = node.patch_file_sha256
            _copy(node, opened, patches[len(sound)])
        except DatabaseError as error:
            refused.append((node, Refusal(error.code, error.found, error.wanted, error.fix)))
        except Refusal as refusal:
            refused.append((node, refusal))
        else:
            sound.append(node)
    return PatchBatch(sound, patches[: len(sound)], refused)


def _copy(node: NodeToScore, stored: np.ndarray, patch: np.ndarray) -> None:
    """Copy one patch, then check the hash of the copy, because the copy will be scored."""
    if node.spec_hash != SPEC.hash:
        raise Refusal(
            "E18",
            f"patches cut by specification {node.spec_hash}",
            f"specification {SPEC.hash} (version {SPEC.version}), which the engine was made for",
            "Ingest the study again with this version of lnscore.",
        )
    if stored.shape[1:] != SPEC.size_vox or node.patch_index >= len(stored):
        raise _other(node, f"patches of shape {stored.shape} and a node at {node.patch_index}")
    patch[...] = stored[node.patch_index]
    found = hashlib.sha256(patch.view(np.uint8).reshape(-1).data).hexdigest()
    if found != node.patch_sha256:
        raise _other(node, f"patch {node.patch_index} with SHA-256 {found[:16]}…")


def _other(node: NodeToScore, found: str) -> Refusal:
    return Refusal(
        "E16",
        f"patch file {node.patch_file_sha256[:16]}…: {found}",
        f"HU of shape {SPEC.size_vox} with SHA-256 {node.patch_sha256[:16]}…, as when it was cut",
        "Restore the patch store from a backup, or remove the file and ingest the study again.",
    )
