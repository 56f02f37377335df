"""Patches from the store in batches, read and hashed ahead of the engine.

A batch holds nodes of any studies. Every patch is compared with the hash in its row before
an engine sees it; a node whose patch is missing or other is refused, with its study.
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
"""Batches that are read while the engine works on one."""


@dataclass(frozen=True)
class PatchBatch:
    """Some nodes and their patches, in the order in which they were asked for.

    Attributes:
        nodes: Nodes whose patches are sound.
        patches: Their HU, shape (node, 18, 80, 80).
        refused: The other nodes, and why.
    """

    nodes: list[NodeToScore]
    patches: Patches
    refused: list[tuple[NodeToScore, Refusal]]


def read_batches(
    nodes: Sequence[NodeToScore], store: PatchStore, size: int
) -> Iterator[PatchBatch]:
    """Read patches in a thread of its own, a few batches ahead.

    Hashing lets go of Python's lock, so that it costs the engine no time.

    Args:
        nodes: In the order in which they lie in the store.
        store: Where they lie.
        size: Nodes of a batch; the last may be smaller.

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
    """Read and check some nodes' patches."""
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
    """Copy one patch, then hash the copy: what was checked is what will be scored."""
    if node.spec_hash != SPEC.hash:
        raise Refusal(
            "E18",
            f"patches cut by rules {node.spec_hash}",
            f"rules {SPEC.hash} (version {SPEC.version}), which the engine was made for",
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
        "Restore the patch store from a backup, or ingest the study again.",
    )
