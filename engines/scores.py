"""Scores of an engine, and checks of its input and output."""

from dataclasses import dataclass

import numpy as np

from engines.errors import EngineError
from engines.patch import SPEC
from engines.shapes import Probabilities


@dataclass(frozen=True)
class Scores:
    """Raw outputs of an engine for every node, each float32 of shape (node,).

    Attributes:
        fused: Probability of metastasis from the fused head; this is the score.
        local: Probability from the local head; None if the engine has one stream.
        global_: Probability from the global head; None if the engine has one stream.
        fused_logit: Logit of `fused`; still exact where the probability is rounded to 0 or 1.
    """

    fused: Probabilities
    local: Probabilities | None
    global_: Probabilities | None
    fused_logit: Probabilities

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self.fused)


def check_patches(patches: np.ndarray) -> None:
    """Raise an error if an array does not hold patches, before it is used.

    Args:
        patches: Must be int16 HU of shape (node, 18, 80, 80); zero nodes are allowed.

    Raises:
        EngineError: E08, with the wrong shape or type, or the number of non-finite voxels.
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
    """Raise an error if an output is not a probability; the fault is then in the model.

    Raises:
        EngineError: E15, with the index of the first such node.
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
