"""3D DualNet: the node in its box and the node rescaled to a cube, inside its outline.

After Kann et al. (Sci Rep 2018; Lancet Digit Health 2023), whose code is under the MIT
licence (Copyright (c) 2022 bhkann). Ours: BoxNet takes the 16x64x64 crop as it is and so has
no pooling along z before its first layer; one logit; a fixed window for every node, where the
original lets one node's range leak into the next.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.patch import SPEC
from trainer.errors import TrainerError
from trainer.networks.config import DualNetConfig
from trainer.networks.preprocess import HuWindow
from trainer.networks.two_stream import Logits, head, set_momentum, squeeze

CUBE_VOX = 32
SLOPE = 0.03
DENSE = 2048
BOX_PLACES = 1 * 3 * 3
BOX_OUT, CONCAT = 3, 4
POOL, IN_PLANE, KEEP = (2, 2, 2), (1, 2, 2), (1, 1, 1)


class DualNet(nn.Module):
    """BoxNet and SmallNet, joined by a dense layer of four units."""

    needs_mask = True

    def __init__(self, config: DualNetConfig) -> None:
        """Build both networks; weights He normal, as in the original."""
        super().__init__()
        self.config = config
        self.views = MaskedInput(config)
        width = config.backbone_width
        self.backbone = nn.ModuleDict(
            {
                "box": box_net(config.box_dropout, width),
                "small": small_net(config.small_dropout, width),
            }
        )
        set_momentum(self.backbone, config.bn_momentum)
        self.join = nn.Sequential(nn.Linear(CONCAT, CONCAT), nn.ReLU())
        self.fused_head = head(CONCAT, config)
        for module in self.modules():
            if isinstance(module, nn.Conv3d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights; what is before them stays float32."""
        return self.fused_head[1].weight.dtype  # pyright: ignore[reportReturnType]

    def forward(self, hu: Tensor, mask: Tensor) -> Logits:
        """Score HU crops inside their outlines.

        Args:
            hu: HU, shape (node, 16, 64, 64), z first.
            mask: Occupancy by the node, 0..1, same shape; none of it zero everywhere.

        Returns:
            Fused logits of shape (node,); no side heads.
        """
        box, cube = self.views(hu, mask)
        of_cube = self.backbone["small"](cube.to(self.dtype))
        of_box = self.backbone["box"](box.to(self.dtype))
        joined = self.join(torch.cat([of_cube, of_box], dim=1))
        return Logits(squeeze(self.fused_head(joined)), None, None)


class MaskedInput(nn.Module):
    """HU and outline to what BoxNet and SmallNet see, in float32."""

    def __init__(self, config: DualNetConfig) -> None:
        """Fix the window and the rim."""
        super().__init__()
        self.window = HuWindow(config.clip_hu, config.channel_mean, config.channel_std)
        self.rim_px = round(config.dilate_mm / SPEC.spacing_mm[1])

    def forward(self, hu: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mask the crop; mask the node's box, rescaled.

        Args:
            hu: HU, shape (node, 16, 64, 64).
            mask: Occupancy, 0..1, same shape.

        Returns:
            (node, 1, 16, 64, 64) and (node, 1, 32, 32, 32), 0 outside the widened outline.
        """
        outline = self.widen(mask.float())
        volume = self.window(hu)
        places = box_grid(outline)
        # Linear for the image, nearest for the outline, as in the original.
        image = functional.grid_sample(volume, places, align_corners=True)
        inside = functional.grid_sample(outline[:, None], places, "nearest", align_corners=True)
        return volume * outline[:, None], image * inside

    def widen(self, mask: Tensor) -> Tensor:
        """Outline with its rim, in plane: 1 inside, 0 outside.

        The outline is where at least half of the node's own largest occupancy is: a node
        thinner than a slice fills no voxel by half and has an outline all the same.
        """
        largest = mask.amax(dim=(1, 2, 3), keepdim=True)
        core = ((mask >= largest / 2) & (mask > 0)).float()
        return functional.max_pool2d(core, 2 * self.rim_px + 1, stride=1, padding=self.rim_px)


def box_grid(outline: Tensor) -> Tensor:
    """Places of a 32-cube that spans each outline's bounding box, first to last voxel.

    Args:
        outline: 0 or 1, shape (node, z, y, x).

    Returns:
        Coordinates x y z in -1..1 (corners aligned), shape (node, 32, 32, 32, 3).
    """
    steps = torch.linspace(0, 1, CUBE_VOX, device=outline.device)
    z, y, x = (
        _span(outline, axis)[:, :1] + _span(outline, axis)[:, 1:] * steps for axis in (1, 2, 3)
    )
    shape = (-1, CUBE_VOX, CUBE_VOX, CUBE_VOX)
    axes = x[:, None, None, :], y[:, None, :, None], z[:, :, None, None]
    return torch.stack([axis.expand(shape) for axis in axes], dim=-1)


def _span(outline: Tensor, axis: int) -> Tensor:
    """First voxel of the box and its length along one axis, both in -1..1: (node, 2)."""
    others = [a for a in (1, 2, 3) if a != axis]
    size = outline.shape[axis]
    filled = outline.amax(dim=others)
    index = torch.arange(size, device=outline.device, dtype=outline.dtype)
    first = torch.where(filled > 0, index, size).amin(dim=1)
    last = torch.where(filled > 0, index, -1.0).amax(dim=1)
    unit = 2 / (size - 1)
    return torch.stack([first * unit - 1, (last - first) * unit], dim=1)


def refuse_points(masks: Tensor, names: Sequence[str]) -> None:
    """Refuse nodes that are a point only: DualNet sees nothing outside an outline.

    Args:
        masks: Occupancy, any type, shape (node, z, y, x).
        names: What the nodes are called, one each.

    Raises:
        TrainerError: T40.
    """
    points = [name for name, mask in zip(names, masks, strict=True) if not mask.any()]
    if points:
        shown = ", ".join(points[:3]) + (", …" if len(points) > 3 else "")
        raise TrainerError(
            "T40",
            f"{len(points)} of {len(names)} nodes are a point without an outline ({shown})",
            "an outline of every node for dualnet-3d",
            "Annotate them with masks, leave them out, or choose another network.",
        )


def layer(wide: int, narrow: int, pool: tuple[int, int, int] = KEEP) -> list[nn.Module]:
    """Convolution, BatchNorm, LeakyReLU, and the largest of each `pool` where it is more."""
    layers: list[nn.Module] = [
        nn.Conv3d(wide, narrow, 3, padding=1),
        nn.BatchNorm3d(narrow, eps=1e-3),
        nn.LeakyReLU(SLOPE),
    ]
    return layers if pool == KEEP else [*layers, nn.MaxPool3d(pool)]


def box_net(dropout: float, width: float = 1) -> nn.Sequential:
    """The crop (node, 1, 16, 64, 64) to three numbers."""
    c64, c128, c256, c512 = channels(width)
    units = int(DENSE * width)
    return nn.Sequential(
        *layer(1, c64, IN_PLANE),
        *layer(c64, c128, POOL),
        nn.Dropout(dropout),
        *layer(c128, c256, POOL),
        *layer(c256, c256, POOL),
        nn.Dropout(dropout),
        *layer(c256, c512),
        *layer(c512, c512),
        nn.ConstantPad3d((1, 1, 1, 1, 0, 0), 0.0),
        nn.MaxPool3d(2),
        nn.Dropout(dropout),
        nn.Flatten(),
        *dense(c512 * BOX_PLACES, units, dropout),
        *dense(units, units, dropout),
        nn.Linear(units, BOX_OUT),
        nn.ReLU(),
    )


def channels(width: float) -> list[int]:
    """Of the four widths of layers, a share."""
    return [int(full * width) for full in (64, 128, 256, 512)]


def dense(wide: int, units: int, dropout: float) -> list[nn.Module]:
    """A linear layer with its BatchNorm, LeakyReLU and dropout."""
    norm = nn.BatchNorm1d(units, eps=1e-3)
    return [nn.Linear(wide, units), norm, nn.LeakyReLU(SLOPE), nn.Dropout(dropout)]


def small_net(dropout: float, width: float = 1) -> nn.Sequential:
    """The cube (node, 1, 32, 32, 32) to one number."""
    c64, c128, c256, c512 = channels(width)
    return nn.Sequential(
        nn.AvgPool3d((2, 1, 1)),
        *layer(1, c64, IN_PLANE),
        *layer(c64, c128, POOL),
        nn.Dropout(dropout),
        *layer(c128, c256),
        *layer(c256, c256, POOL),
        nn.Dropout(dropout),
        *layer(c256, c512),
        *layer(c512, c512, POOL),
        nn.Dropout(dropout),
        nn.Conv3d(c512, c64, 2),
        nn.BatchNorm3d(c64, eps=1e-3),
        nn.LeakyReLU(SLOPE),
        nn.Dropout(dropout),
        nn.Conv3d(c64, 1, 1),
        nn.Flatten(),
    )
