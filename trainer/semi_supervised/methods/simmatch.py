"""SimMatch (Zheng et al. 2022) for two classes, implemented from its formulas.

The teacher's pseudo-labels are aligned and smoothed by the similarity to labelled nodes. The
student learns them on strongly augmented views, and it learns the similarities themselves.
"""

import torch
from torch import Tensor
from torch.nn import functional

from trainer.semi_supervised.config import SslConfig
from trainer.semi_supervised.methods.method import Slots, StepNeeds, StepOutputs
from trainer.steps.distributed import Ranks, gathered


def align(p: Tensor, queue_mean: Tensor, target: Tensor) -> Tensor:
    """Divide by the mean of recent outputs, multiply by the target, normalise.

    The authors only divide, which assumes that both classes are equally frequent. With 5 %
    positives this turns negatives into positives, so we use the labelled prior as the target.

    Args:
        p: Class probabilities, shape (node, 2).
        queue_mean: Mean class probabilities of recent batches, shape (2,).
        target: Class frequencies to align to, shape (2,).
    """
    return functional.normalize(p * target / queue_mean.clamp(min=1e-6), p=1, dim=1)


def smooth(p: Tensor, q: Tensor, classes: Tensor, share: float) -> Tensor:
    """Mix probabilities with similarities: share p + (1 - share) (similarity of each class).

    Args:
        p: Aligned probabilities, shape (node, 2).
        q: Similarities to the nodes of the bank, shape (node, bank); rows sum to 1.
        classes: One-hot labels of the bank, shape (bank, 2).
        share: Share of p; the authors use 0.9.
    """
    return share * p + (1 - share) * q @ classes


def sharpened_similarity(p: Tensor, q: Tensor, classes: Tensor) -> Tensor:
    """Multiply q by the probability of each bank node's class and normalise; shape (node, bank)."""
    return functional.normalize(q * (p @ classes.T), p=1, dim=1)


class SimMatch:
    """SimMatch with its bank of labelled nodes' features and its queue of recent outputs."""

    needs = StepNeeds(teacher=True, features=True, strong=True)

    def __init__(self, config: SslConfig, bank: Tensor, labels: Tensor, ranks: Ranks) -> None:
        """Start with the teacher's features in the bank.

        Args:
            config: Configuration of the stage.
            bank: Features of the labelled training nodes, shape (node, width), of length 1.
            labels: Labels of these nodes, 0 or 1, shape (node,).
            ranks: Rank of this process and number of processes.
        """
        self.config, self.ranks, self.bank = config, ranks, bank
        self.classes = torch.stack([1 - labels, labels], dim=1).float()
        natural = self.classes.mean(0)
        self.target = natural if config.alignment == "prior" else torch.full_like(natural, 0.5)
        self.queue = bank.new_zeros(config.queue, 2)
        self.filled = torch.zeros((), dtype=torch.int64)

    def loss(self, outputs: StepOutputs, slots: Slots) -> Tensor:
        """Compute lambda_u L_u + lambda_in L_in; the first epoch has no smoothing and no L_in."""
        assert outputs.teacher is not None
        assert outputs.features is not None
        assert outputs.teacher_features is not None
        config, warm = self.config, slots.epoch > 0
        answer = torch.sigmoid(outputs.teacher)
        p = self._aligned(torch.stack([1 - answer, answer], dim=1))
        q = torch.softmax(outputs.teacher_features @ self.bank.T / config.temperature, dim=1)
        label = smooth(p, q, self.classes, config.smoothing) if warm else p
        sure = (label.max(1).values >= config.tau).float()
        fused = outputs.unlabelled.fused
        logs = torch.stack([functional.logsigmoid(-fused), functional.logsigmoid(fused)], dim=1)
        pseudo = (sure * -(label * logs).sum(1)).mean()
        theirs = torch.log_softmax(outputs.features @ self.bank.T / config.temperature, dim=1)
        alike = -(sharpened_similarity(p, q, self.classes) * theirs).sum(1).mean()
        return config.lambda_u * pseudo + (config.lambda_in if warm else 0.0) * alike

    def _aligned(self, p: Tensor) -> Tensor:
        """Add the batch's mean to the queue, then align with the mean of the queue."""
        mean = gathered(p.mean(0, keepdim=True), self.ranks).mean(0)
        self.queue[int(self.filled) % self.config.queue] = mean
        self.filled += 1
        held = self.queue[: min(int(self.filled), self.config.queue)]
        return align(p, held.mean(0), self.target)

    def after_step(self, outputs: StepOutputs, slots: Slots) -> None:
        """Replace the bank's features of the step's labelled nodes by the teacher's new ones."""
        assert outputs.teacher_labelled is not None
        rows = torch.from_numpy(slots.labelled).to(self.bank.device)
        fresh = gathered(outputs.teacher_labelled, self.ranks)
        # With few positives a node may occur twice in a batch; its last features are kept.
        last = {int(row): place for place, row in enumerate(slots.labelled)}
        places = torch.tensor(list(last.values()), device=self.bank.device)
        self.bank[rows[places]] = fresh[places]

    def after_epoch(self) -> None:
        """Do nothing: the bank and the queue are updated in each step."""

    def tensors(self) -> dict[str, Tensor]:
        """Return the bank and the queue."""
        return {"bank": self.bank, "queue": self.queue, "filled": self.filled}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore the bank and the queue."""
        device = self.bank.device
        self.bank, self.queue = tensors["bank"].to(device), tensors["queue"].to(device)
        self.filled = tensors["filled"]
