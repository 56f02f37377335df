"""SimMatch (Zheng et al. 2022) for two classes, written from its formulas.

The teacher's pseudo-labels, aligned and smoothed by its similarity to labelled nodes, teach
the student on strongly augmented views; so do the similarities themselves.
"""

import torch
from torch import Tensor
from torch.nn import functional

from trainer.semi_supervised.config import SslConfig
from trainer.semi_supervised.methods.method import Slots, StepNeeds, StepOutputs
from trainer.steps.distributed import Ranks, gathered


def align(p: Tensor, queue_mean: Tensor, target: Tensor) -> Tensor:
    """Divide by the mean of recent answers, multiply by the target, normalise.

    The source divides only, which assumes equal classes: at 5 % positives it turns negatives
    positive. The labelled prior as the target is ours.

    Args:
        p: Class probabilities, shape (node, 2).
        queue_mean: Shape (2,).
        target: Shape (2,).
    """
    return functional.normalize(p * target / queue_mean.clamp(min=1e-6), p=1, dim=1)


def smooth(p: Tensor, q: Tensor, classes: Tensor, share: float) -> Tensor:
    """Share p + (1 - share) of the similarity that each class has.

    Args:
        p: Aligned probabilities, shape (node, 2).
        q: Similarities to the bank, shape (node, bank), rows sum to 1.
        classes: One-hot labels of the bank, shape (bank, 2).
        share: 0.9 in the source.
    """
    return share * p + (1 - share) * q @ classes


def sharpened_similarity(p: Tensor, q: Tensor, classes: Tensor) -> Tensor:
    """Q times the probability of each banked node's class, normalised; shape (node, bank)."""
    return functional.normalize(q * (p @ classes.T), p=1, dim=1)


class SimMatch:
    """The bank of all labelled nodes' features, and the queue of recent answers."""

    needs = StepNeeds(teacher=True, features=True, strong=True)

    def __init__(self, config: SslConfig, bank: Tensor, labels: Tensor, ranks: Ranks) -> None:
        """Begin with the teacher's features.

        Args:
            config: Of the stage.
            bank: Features of the labelled training nodes, shape (node, width), length 1.
            labels: Theirs, 0 or 1, shape (node,).
            ranks: This process among all.
        """
        self.config, self.ranks, self.bank = config, ranks, bank
        self.classes = torch.stack([1 - labels, labels], dim=1).float()
        natural = self.classes.mean(0)
        self.target = natural if config.alignment == "prior" else torch.full_like(natural, 0.5)
        self.queue = bank.new_zeros(config.queue, 2)
        self.filled = torch.zeros((), dtype=torch.int64)

    def loss(self, said: StepOutputs, slots: Slots) -> Tensor:
        """lambda_u L_u + lambda_in L_in; in the first epoch neither smoothing nor L_in."""
        assert said.teacher is not None
        assert said.features is not None
        assert said.teacher_features is not None
        config, warm = self.config, slots.epoch > 0
        answer = torch.sigmoid(said.teacher)
        p = self._aligned(torch.stack([1 - answer, answer], dim=1))
        q = torch.softmax(said.teacher_features @ self.bank.T / config.temperature, dim=1)
        label = smooth(p, q, self.classes, config.smoothing) if warm else p
        sure = (label.max(1).values >= config.tau).float()
        fused = said.unlabelled.fused
        logs = torch.stack([functional.logsigmoid(-fused), functional.logsigmoid(fused)], dim=1)
        pseudo = (sure * -(label * logs).sum(1)).mean()
        theirs = torch.log_softmax(said.features @ self.bank.T / config.temperature, dim=1)
        alike = -(sharpened_similarity(p, q, self.classes) * theirs).sum(1).mean()
        return config.lambda_u * pseudo + (config.lambda_in if warm else 0.0) * alike

    def _aligned(self, p: Tensor) -> Tensor:
        """Put the batch's mean into the queue, then align with the queue's."""
        mean = gathered(p.mean(0, keepdim=True), self.ranks).mean(0)
        self.queue[int(self.filled) % self.config.queue] = mean
        self.filled += 1
        held = self.queue[: min(int(self.filled), self.config.queue)]
        return align(p, held.mean(0), self.target)

    def after_step(self, said: StepOutputs, slots: Slots) -> None:
        """The teacher's features of the labelled nodes take their places in the bank."""
        assert said.teacher_labelled is not None
        rows = torch.from_numpy(slots.labelled).to(self.bank.device)
        fresh = gathered(said.teacher_labelled, self.ranks)
        # With few positives a node comes twice in a batch; which of the two stays is the last.
        last = {int(row): place for place, row in enumerate(slots.labelled)}
        places = torch.tensor(list(last.values()), device=self.bank.device)
        self.bank[rows[places]] = fresh[places]

    def after_epoch(self) -> None:
        """Nothing to bring up to date."""

    def tensors(self) -> dict[str, Tensor]:
        """Bank and queue."""
        return {"bank": self.bank, "queue": self.queue, "filled": self.filled}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put them back."""
        device = self.bank.device
        self.bank, self.queue = tensors["bank"].to(device), tensors["queue"].to(device)
        self.filled = tensors["filled"]
