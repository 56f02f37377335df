"""Training with several processes: each one's part of a batch, and what they exchange.

`torchrun` starts the processes; with a single process the functions here change nothing. Every
process draws the random numbers of the whole batch and keeps its own part. So two processes get
the same result as one, except for dropout, which each process draws for its own part.
"""

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.nn.parallel import DistributedDataParallel

from trainer.networks.two_stream import BATCHNORMS


@dataclass(frozen=True)
class Ranks:
    """Position of this process among all processes.

    Attributes:
        rank: Number of this process, from 0.
        world: Number of processes.
        local: Number of this process on its machine, from 0.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def writes(self) -> bool:
        """Whether this process writes files, prints and uses the database; only the first does."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Return this process's part of a batch of `count` nodes; all parts have the same size.

        Raises:
            ValueError: The batch cannot be divided equally among the processes.
        """
        if count % self.world:
            raise ValueError(
                f"a batch of {count} over {self.world} processes; wanted a multiple of their number"
            )
        size = count // self.world
        return slice(self.rank * size, (self.rank + 1) * size)


def start() -> Ranks:
    """Join the processes that `torchrun` started; without `torchrun` there is one process."""
    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        return Ranks()
    local = int(os.environ["LOCAL_RANK"])
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(local)
    distributed.init_process_group(backend)
    return Ranks(distributed.get_rank(), distributed.get_world_size(), local)


def stop(ranks: Ranks) -> None:
    """Leave the group of processes."""
    if ranks.world > 1:
        distributed.destroy_process_group()


def wait(ranks: Ranks) -> None:
    """Wait until every process has reached this call."""
    if ranks.world > 1:
        distributed.barrier()


def gathered(part: Tensor, ranks: Ranks) -> Tensor:
    """Return the parts of all processes as one tensor, in the order of the processes.

    Args:
        part: This process's part, with the same shape in every process.
        ranks: Position of this process among all.
    """
    if ranks.world == 1:
        return part
    parts = [torch.empty_like(part) for _ in range(ranks.world)]
    distributed.all_gather(parts, part.contiguous())
    return torch.cat(parts)


def spread(network: nn.Module, ranks: Ranks) -> nn.Module:
    """Wrap a network so that gradients are averaged and BatchNorm covers all processes."""
    if ranks.world == 1:
        return network
    device = next(network.parameters()).device
    if device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return DistributedDataParallel(network, device_ids=[device.index])
    return DistributedDataParallel(_synchronise(network))


class Total(Function):
    """Sum of a tensor over all processes; the gradient is summed likewise."""

    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:  # noqa: ANN401
        """Sum the parts."""
        total = part.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ANN401
        """Sum the gradients: each part was added to the result of every process."""
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


class SyncBatchNorm(nn.BatchNorm2d):
    """BatchNorm over the parts of all processes, for the CPU (torch's own class needs a GPU)."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept any number of axes after the channels."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise by the mean and variance of the whole batch.

        Args:
            input: This process's part of the batch, shape (node, channel, ...).
        """
        if not self.training:
            return super().forward(input)
        axes = [0, *range(2, input.ndim)]
        shape = (1, -1, *[1] * (input.ndim - 2))
        count = input.numel() / input.shape[1] * distributed.get_world_size()
        mean = Total.apply(input.sum(axes)) / count
        centred = input - mean.view(shape)  # two passes: E[x^2] - E[x]^2 is inexact in float32
        variance = Total.apply(centred.square().sum(axes)) / count
        self._remember(mean.detach(), variance.detach(), count)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return centred * scale.view(shape) + self.bias.view(shape)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: float) -> None:
        momentum = 0.1 if self.momentum is None else self.momentum
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * count / (count - 1), momentum)
        self.num_batches_tracked += 1


def _synchronise(network: nn.Module) -> nn.Module:
    for name, module in network.named_children():
        if isinstance(module, BATCHNORMS):
            setattr(network, name, _with_state(module))
        else:
            _synchronise(module)
    return network


def _with_state(module: "nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d") -> SyncBatchNorm:
    """Return a `SyncBatchNorm` that has the same parameter and buffer objects."""
    other = SyncBatchNorm(module.num_features, module.eps, module.momentum)
    other._parameters.update(module._parameters)
    other._buffers.update(module._buffers)
    return other.train(module.training)
