"""Several processes, one step: what each takes of a batch, and what all must agree on.

`torchrun` starts the processes; alone, everything here is the identity. Every process draws
the whole batch's random numbers and keeps its own slice, so that two processes do what one
would have done (dropout apart, which is drawn where the activations are).
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
    """This process among all."""

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def writes(self) -> bool:
        """Only the first process writes files, prints, and touches the database."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """This process's part of a batch; all parts are equal.

        Raises:
            ValueError: The batch does not divide by the number of processes.
        """
        if count % self.world:
            raise ValueError(f"a batch of {count} over {self.world} processes; wanted a multiple")
        size = count // self.world
        return slice(self.rank * size, (self.rank + 1) * size)


def start() -> Ranks:
    """Join the processes that `torchrun` started; alone where it did not."""
    if "WORLD_SIZE" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        return Ranks()
    local = int(os.environ["LOCAL_RANK"])
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(local)
    distributed.init_process_group(backend)
    return Ranks(distributed.get_rank(), distributed.get_world_size(), local)


def stop(ranks: Ranks) -> None:
    """Leave the other processes."""
    if ranks.world > 1:
        distributed.destroy_process_group()


def wait(ranks: Ranks) -> None:
    """Until every process is here."""
    if ranks.world > 1:
        distributed.barrier()


def gathered(part: Tensor, ranks: Ranks) -> Tensor:
    """The parts of all processes in their order: every process has the whole.

    Args:
        part: Shape (mine, ...), equal everywhere.
        ranks: This process among all.
    """
    if ranks.world == 1:
        return part
    parts = [torch.empty_like(part) for _ in range(ranks.world)]
    distributed.all_gather(parts, part.contiguous())
    return torch.cat(parts)


def spread(network: nn.Module, ranks: Ranks) -> nn.Module:
    """The network as the step calls it: gradients averaged, BatchNorm over all processes."""
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
        """Every part had the same share in every process's result."""
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


class SyncBatchNorm(nn.BatchNorm2d):
    """BatchNorm over the batches of all processes, for the CPU (torch's own needs a GPU)."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of axes after the channels."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise by the mean and variance of the whole batch.

        Args:
            input: This process's part, shape (node, channel, ...).
        """
        if not self.training:
            return super().forward(input)
        axes = [0, *range(2, input.ndim)]
        shape = (1, -1, *[1] * (input.ndim - 2))
        count = input.numel() / input.shape[1] * distributed.get_world_size()
        mean = Total.apply(input.sum(axes)) / count
        centred = input - mean.view(shape)  # two passes: E[x^2] - E[x]^2 cancels in float32
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
    """The same parameters, the same buffers: the optimiser and the checkpoint see no difference."""
    other = SyncBatchNorm(module.num_features, module.eps, module.momentum)
    other._parameters.update(module._parameters)
    other._buffers.update(module._buffers)
    return other.train(module.training)
