"""MobileViTv2 in 3D, written from the formulas of Mehta and Rastegari (TMLR 2023).

The network has inverted residuals, and blocks that apply separable self-attention (their
Sec. 3.2) to the patches of a map. A patch here is 2x2x2 pixels of a map; kernels are cubes. Only
the stem, layer 2 and layer 3 halve the z axis, so that two slices are left for a patch (ours).
"""

from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (64, 128, 256, 384, 512)
STEM_WIDTH = 32
DEPTHS = (2, 4, 3)
"""Transformer layers on each of the last three maps; they use half of the map's channels."""
EXPANSION = 2
"""Factor by which inverted residuals and feed-forward layers widen their channels."""
PATCH = 2
HALVE, IN_PLANE, KEEP = (2, 2, 2), (1, 2, 2), (1, 1, 1)


def trunk(width: float = 1) -> nn.Module:
    """Build the trunk: volumes (node, 1, 16, 64, 64) to maps (node, 512 * width, 2, 2, 2)."""
    stem, layer1, layer2, layer3, layer4, layer5 = channels(width)
    depth3, depth4, depth5 = DEPTHS
    network = nn.Sequential(
        convolution(1, stem, 3, stride=HALVE),
        InvertedResidual(stem, layer1, KEEP),
        InvertedResidual(layer1, layer2, HALVE),
        InvertedResidual(layer2, layer2, KEEP),
        InvertedResidual(layer2, layer3, HALVE),
        PatchAttention(layer3, depth3),
        InvertedResidual(layer3, layer4, IN_PLANE),
        PatchAttention(layer4, depth4),
        InvertedResidual(layer4, layer5, IN_PLANE),
        PatchAttention(layer5, depth5),
    )
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
    return network


def channels(width: float) -> list[int]:
    """Return the channels of the stem and of each layer, multiplied by the share `width`."""
    return [int(full * width) for full in (STEM_WIDTH, *WIDTHS)]


def convolution(
    wide: int,
    narrow: int,
    kernel: int,
    *,
    stride: tuple[int, int, int] = KEEP,
    groups: int = 1,
    activate: bool = True,
) -> nn.Sequential:
    """Return convolution without bias, BatchNorm, and SiLU if `activate`."""
    cube = nn.Conv3d(
        wide, narrow, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
    )
    return nn.Sequential(cube, nn.BatchNorm3d(narrow), nn.SiLU() if activate else nn.Identity())


class InvertedResidual(nn.Module):
    """Block that widens the channels, filters each one, and narrows them again.

    The input is added to the output if both have the same shape.
    """

    def __init__(self, wide: int, narrow: int, stride: tuple[int, int, int]) -> None:
        """Build the three convolutions, from `wide` input to `narrow` output channels."""
        super().__init__()
        hidden = wide * EXPANSION
        self.residual = stride == KEEP and wide == narrow
        self.layers = nn.Sequential(
            convolution(wide, hidden, 1),
            convolution(hidden, hidden, 3, stride=stride, groups=hidden),
            convolution(hidden, narrow, 1, activate=False),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Turn maps (node, wide, z, y, x) into maps (node, narrow, z', y', x')."""
        return maps + self.layers(maps) if self.residual else self.layers(maps)


class SeparableAttention(nn.Module):
    """Separable self-attention; its cost is linear in the number of patches (Sec. 3.2).

    The softmax of one query channel over the patches gives each patch a score. The sum of the
    keys, weighted by the scores, is one context vector, which multiplies relu(value) of every
    patch. All this is done separately for each pixel position within a patch.
    """

    def __init__(self, width: int) -> None:
        """Build the projections to query (1 channel), key and value (`width` each), and back."""
        super().__init__()
        self.sizes = [1, width, width]
        self.project = nn.Conv2d(width, sum(self.sizes), 1)
        self.back = nn.Conv2d(width, width, 1)

    def forward(self, patches: Tensor) -> Tensor:
        """Apply the attention to patches (node, width, pixel of the patch, patch)."""
        query, key, value = self.project(patches).split(self.sizes, dim=1)
        context = (functional.softmax(query, dim=-1) * key).sum(dim=-1, keepdim=True)
        return self.back(functional.relu(value) * context)


class TransformerLayer(nn.Module):
    """Attention, then two linear layers; each part gets the normalised input and is added to it."""

    def __init__(self, width: int) -> None:
        """Build both parts; the norm is over channels, pixels and patches together."""
        super().__init__()
        self.attention = nn.Sequential(nn.GroupNorm(1, width), SeparableAttention(width))
        self.feed_forward = nn.Sequential(
            nn.GroupNorm(1, width),
            nn.Conv2d(width, width * EXPANSION, 1),
            nn.SiLU(),
            nn.Conv2d(width * EXPANSION, width, 1),
        )

    def forward(self, patches: Tensor) -> Tensor:
        """Transform patches (node, width, pixel of the patch, patch); the shape stays."""
        patches = patches + self.attention(patches)
        return patches + self.feed_forward(patches)


class PatchAttention(nn.Module):
    """Block of a local convolution, attention between patches, and a projection (their Fig. 2)."""

    def __init__(self, channels: int, depth: int) -> None:
        """Build the block for maps with `channels` channels and `depth` transformer layers."""
        super().__init__()
        width = channels // 2
        self.local = nn.Sequential(
            convolution(channels, channels, 3, groups=channels),
            nn.Conv3d(channels, width, 1, bias=False),
        )
        self.layers = nn.Sequential(*[TransformerLayer(width) for _ in range(depth)])
        self.norm = nn.GroupNorm(1, width)
        self.back = convolution(width, channels, 1, activate=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Transform maps (node, channels, z, y, x); each side is a multiple of the patch's, 2."""
        local = self.local(maps)
        sides = local.shape[-3:]
        attended = self.norm(self.layers(unfold(local)))
        return self.back(fold(attended, (sides[0], sides[1], sides[2])))


def unfold(maps: Tensor) -> Tensor:
    """Cut maps (node, width, z, y, x) into patches (node, width, 8 pixels, patches)."""
    width, z, y, x = maps.shape[1:]
    split = maps.reshape(-1, width, z // PATCH, PATCH, y // PATCH, PATCH, x // PATCH, PATCH)
    return split.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(-1, width, PATCH**3, z * y * x // PATCH**3)


def fold(patches: Tensor, sides: tuple[int, int, int]) -> Tensor:
    """Put patches together to maps (node, width, z, y, x): the inverse of `unfold`."""
    width, (z, y, x) = patches.shape[1], sides
    split = patches.reshape(-1, width, PATCH, PATCH, PATCH, z // PATCH, y // PATCH, x // PATCH)
    return split.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(-1, width, z, y, x)
