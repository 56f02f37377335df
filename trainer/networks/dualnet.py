"""3D DualNet: one network for the masked crop, one for the node rescaled to a cube.

After Kann et al. (Sci Rep 2018; Lancet Digit Health 2023), whose code is under the MIT
licence (Copyright (c) 2022 bhkann). We changed three things: BoxNet takes the 16x64x64 crop as it
is, and so its first pooling does not pool along z; the output is one logit; the window is
the same for every node, while in the original the HU range of one node affects the next node.
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
    """The network: BoxNet and SmallNet, joined by a dense layer of four units."""

    needs_mask = True

    def __init__(self, config: DualNetConfig) -> None:
        """Build both networks; initialise the weights by He normal, as in the original."""
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
        """Precision of the weights; the preprocessing stays float32."""
        return self.fused_head[1].weight.dtype  # pyright: ignore[reportReturnType]

    def forward(self, hu: Tensor, mask: Tensor) -> Logits:
        """Compute the logits of HU crops, masked by the outlines of their nodes.

        Args:
            hu: HU, shape (node, 16, 64, 64), z first.
            mask: Part of each voxel that the node fills, 0..1, same shape; every node has a part
                above 0.

        Returns:
            Fused logits of shape (node,); there is no local and no global head.
        """
        box, cube = self.views(hu, mask)
        of_cube = self.backbone["small"](cube.to(self.dtype))
        of_box = self.backbone["box"](box.to(self.dtype))
        joined = self.join(torch.cat([of_cube, of_box], dim=1))
        return Logits(squeeze(self.fused_head(joined)), None, None)


class MaskedInput(nn.Module):
    """Layer that makes the inputs of BoxNet and SmallNet from HU and mask, in float32."""

    def __init__(self, config: DualNetConfig) -> None:
        """Set the window and the width of the rim."""
        super().__init__()
        self.window = HuWindow(config.clip_hu, config.channel_mean, config.channel_std)
        self.rim_px = round(config.dilate_mm / SPEC.spacing_mm[1])

    def forward(self, hu: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mask the crop, and mask the bounding box of the node rescaled to a cube.

        Args:
            hu: HU, shape (node, 16, 64, 64).
            mask: Part of each voxel that the node fills, 0..1, same shape.

        Returns:
            Crops (node, 1, 16, 64, 64) and cubes (node, 1, 32, 32, 32); both are 0 outside the
            widened outline.
        """
        outline = self.widen(mask.float())
        volume = self.window(hu)
        places = box_grid(outline)
        # Linear interpolation for the image, nearest for the outline, as in the original.
        image = functional.grid_sample(volume, places, align_corners=True)
        inside = functional.grid_sample(outline[:, None], places, "nearest", align_corners=True)
        return volume * outline[:, None], image * inside

    def widen(self, mask: Tensor) -> Tensor:
        """Return the outline, widened in plane by the rim: 1 inside, 0 outside.

        The outline holds the voxels with at least half of the largest mask value of this node.
        So a node thinner than a slice, which fills no voxel by half, has an outline too.
        """
        largest = mask.amax(dim=(1, 2, 3), keepdim=True)
        core = ((mask >= largest / 2) & (mask > 0)).float()
        return functional.max_pool2d(core, 2 * self.rim_px + 1, stride=1, padding=self.rim_px)


def box_grid(outline: Tensor) -> Tensor:
    """Return the sampling points of a 32-cube that spans the bounding box of each outline.

    The cube reaches from the first to the last voxel of the outline on every axis.

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
    """Return start and length of the bounding box on one axis, in -1..1: shape (node, 2)."""
    others = [a for a in (1, 2, 3) if a != axis]
    size = outline.shape[axis]
    filled = outline.amax(dim=others)
    index = torch.arange(size, device=outline.device, dtype=outline.dtype)
    first = torch.where(filled > 0, index, size).amin(dim=1)
    last = torch.where(filled > 0, index, -1.0).amax(dim=1)
    unit = 2 / (size - 1)
    return torch.stack([first * unit - 1, (last - first) * unit], dim=1)


def refuse_points(masks: Tensor, names: Sequence[str]) -> None:
    """Refuse nodes that are marked by a point only: DualNet needs an outline.

    Args:
        masks: Masks of the nodes, any type, shape (node, z, y, x).
        names: Name of each node, for the error message.

    Raises:
        TrainerError: T40 a node has no outline.
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
    """Return convolution, BatchNorm and LeakyReLU, then max pooling if `pool` is above 1x1x1."""
    layers: list[nn.Module] = [
        nn.Conv3d(wide, narrow, 3, padding=1),
        nn.BatchNorm3d(narrow, eps=1e-3),
        nn.LeakyReLU(SLOPE),
    ]
    return layers if pool == KEEP else [*layers, nn.MaxPool3d(pool)]


def box_net(dropout: float, width: float = 1) -> nn.Sequential:
    """Build BoxNet: crops (node, 1, 16, 64, 64) to three numbers for each node."""
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
    """Return the channels of the four widths of layers, multiplied by the share `width`."""
    return [int(full * width) for full in (64, 128, 256, 512)]


def dense(wide: int, units: int, dropout: float) -> list[nn.Module]:
    """Return a linear layer with its BatchNorm, LeakyReLU and dropout."""
    norm = nn.BatchNorm1d(units, eps=1e-3)
    return [nn.Linear(wide, units), norm, nn.LeakyReLU(SLOPE), nn.Dropout(dropout)]


def small_net(dropout: float, width: float = 1) -> nn.Sequential:
    """Build SmallNet: cubes (node, 1, 32, 32, 32) to one number for each node."""
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
