"""Temporal ensembling (Laine and Aila 2017): the target is a mean of the node's past outputs."""

import torch
from torch import Tensor

from trainer.semi_supervised.config import SslConfig
from trainer.semi_supervised.consistency import mse_loss, ramp
from trainer.semi_supervised.methods.method import Slots, StepNeeds, StepOutputs
from trainer.steps.distributed import Ranks, gathered


class TemporalEnsembling:
    """Temporal ensembling with the averaged output Z of every unlabelled node."""

    needs = StepNeeds()

    def __init__(self, config: SslConfig, nodes: int, device: torch.device, ranks: Ranks) -> None:
        """Start without targets.

        Args:
            config: Configuration of the stage.
            nodes: Number of unlabelled nodes.
            device: Device of the student.
            ranks: Rank of this process and number of processes.
        """
        self.config, self.ranks = config, ranks
        self.ensemble = torch.zeros(nodes, device=device)
        self.seen = torch.zeros(nodes, device=device)
        self.now = torch.full((nodes,), torch.nan, device=device)

    def targets(self) -> Tensor:
        """Return Z / (1 - momentum^t), shape (node,); 0 before a node's first epoch."""
        started = 1 - self.config.ensemble**self.seen
        return torch.where(self.seen > 0, self.ensemble / started.clamp(min=1e-12), 0.0)

    def loss(self, outputs: StepOutputs, slots: Slots) -> Tensor:
        """Compute w(k) (p - target)^2, the mean over the unlabelled nodes.

        Nodes without a target add 0.
        """
        config, mine = self.config, torch.from_numpy(slots.mine).to(self.seen.device)
        apart = mse_loss(self.targets()[mine], torch.sigmoid(outputs.unlabelled.fused))
        weight = ramp(slots.epoch, config.weight, config.ramp * config.epochs)
        return (weight if slots.epoch else 0.0) * (apart * (self.seen[mine] > 0)).mean()

    def after_step(self, outputs: StepOutputs, slots: Slots) -> None:
        """Keep the student's outputs, of all processes."""
        answers = torch.sigmoid(outputs.unlabelled.fused.detach())
        rows = torch.from_numpy(slots.unlabelled).to(self.now.device)
        self.now[rows] = gathered(answers, self.ranks)

    def after_epoch(self) -> None:
        """Set Z to momentum Z + (1 - momentum) p for the nodes that were seen in this epoch."""
        shown, momentum = ~torch.isnan(self.now), self.config.ensemble
        mixed = momentum * self.ensemble + (1 - momentum) * self.now
        self.ensemble = torch.where(shown, mixed, self.ensemble)
        self.seen += shown
        self.now.fill_(torch.nan)

    def tensors(self) -> dict[str, Tensor]:
        """Return Z and the number of epochs in which each node was seen."""
        return {"ensemble": self.ensemble, "seen": self.seen}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore Z and the number of epochs of each node."""
        self.ensemble = tensors["ensemble"].to(self.now.device)
        self.seen = tensors["seen"].to(self.now.device)
