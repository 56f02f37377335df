"""The student: a network that can also return features, which SimMatch needs."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.networks.two_stream import Logits


class Student(nn.Module):
    """A network that can return L2-normalised features beside its logits."""

    def __init__(self, network: nn.Module, width: int | None) -> None:
        """Wrap a network.

        Args:
            network: Network with a `fused_head`, which is a dropout and one linear unit.
            width: Width of the features; None gives logits alone.
        """
        super().__init__()
        self.network = network
        self.projection = None
        if width is not None:
            unit = self.fused_head[1]
            assert isinstance(unit, nn.Linear)
            seen = unit.in_features
            self.projection = nn.Sequential(
                nn.Linear(seen, seen), nn.ReLU(inplace=True), nn.Linear(seen, width)
            )

    @property
    def fused_head(self) -> nn.Sequential:
        """The head whose input is projected to the features."""
        return self.network.fused_head  # pyright: ignore[reportReturnType]

    def forward(self, hu: Tensor, mask: Tensor | None = None) -> tuple[Logits, Tensor | None]:
        """Return logits of shape (node,), and features of shape (node, width) or None."""
        kept: list[Tensor] = []
        hook = self.fused_head.register_forward_pre_hook(lambda _, given: kept.append(given[0]))
        try:
            logits = self.network(hu) if mask is None else self.network(hu, mask)
        finally:
            hook.remove()
        if self.projection is None:
            return logits, None
        return logits, self.projection(kept[0])


def forward_with_features(
    student: nn.Module, hu: Tensor, mask: Tensor | None, autocast: Callable[[], torch.autocast]
) -> tuple[Logits, Tensor | None]:
    """Run one forward pass and return logits and unit-length features in float32."""
    with autocast():
        logits, features = student(hu, mask)
    local, global_ = (None if head is None else head.float() for head in logits[1:])
    plain = Logits(logits.fused.float(), local, global_)
    return plain, None if features is None else functional.normalize(features.float(), dim=1)
