"""What an engine gives, and what it takes."""

from dataclasses import dataclass

import numpy as np

from engines.errors import EngineError
from engines.patch import SPEC
from engines.shapes import Probabilities


@dataclass(frozen=True)
class Scores:
    """Raw outputs for every node, float32, shape (node,).

    Attributes:
        fused: Probability of metastasis by the fused head: the score.
        local: By the local stream's head; None where the engine has one stream.
        global_: By the global stream's head; None where the engine has one stream.
        fused_logit: Logit behind `fused`, exact where the probability saturates.
    """

    fused: Probabilities
    local: Probabilities | None
    global_: Probabilities | None
    fused_logit: Probabilities

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self.fused)


def check_patches(patches: np.ndarray) -> None:
    """Refuse what is not HU patches, before any arithmetic.

    Args:
        patches: To be int16 HU of shape (node, 18, 80, 80); no node at all is fine.

    Raises:
        EngineError: E08, with the shape, type or number of non-finite voxels found.
    """
    fix = "Cut them with lnscore.nodes.patches."
    wanted = f"int16 HU of shape (node, {', '.join(map(str, SPEC.size_vox))})"
    if patches.shape[1:] != SPEC.size_vox:
        raise EngineError("E08", f"patches of shape {patches.shape}", wanted, fix)
    if patches.dtype != np.int16:
        found = f"patches of type {patches.dtype}"
        if patches.dtype.kind == "f" and (bad := int(np.sum(~np.isfinite(patches)))):
            found += f" with {bad} voxels that are not finite"
        raise EngineError("E08", found, wanted, fix)


def check_scores(scores: Scores) -> None:
    """Refuse an output that is not a probability: the model is broken, not the node.

    Raises:
        EngineError: E15, with the first such node's place.
    """
    for name in ("fused", "local", "global_"):
        values = getattr(scores, name)
        if values is None:
            continue
        bad = ~((values >= 0) & (values <= 1))  # catches NaN too
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            raise EngineError(
                "E15",
                f"{name.rstrip('_')} output {values[first]} for node {first}",
                "a probability from 0 to 1",
                "Run `lnscore engine verify`; import the engine again.",
            )
