"""Every knob of the networks, frozen; the value is the record of what was built."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engines.patch import SPEC

SLICES_PER_GROUP = 3  # the backbones are 2D networks for RGB images
NATURAL_PRIOR = 188 / (188 + 3447)
"""Share of positive nodes among the labelled ones (paper Sec. 3.1)."""


class TwoStreamConfig(BaseModel):
    """The two-stream network (Li et al., MICCAI 2024, Sec. 2.1; gaps filled by us).

    Attributes:
        variant: MobileNetV3 Large or Small.
        group_stride: Step between 3-slice groups: 1, 2, 3 give 14, 7, 5 groups of 16 slices.
        edge_pad: Repeat the first and the last slice, so that every slice is used (16, 8, 6).
        fpn_channels: F: width of the pyramid, of every fusion and of the heads' input.
        multi_scale: Pyramid over three levels; off, the last level alone.
        two_stream: Local and global stream; off, the global stream alone, with one head.
        slice_fusion: `pooled` averages each map before the slices meet; `spatial` after.
        input_upsample: Factor on the 64-pixel images (2 keeps C5 at 4x4).
        local_px: Side of the central square that the local stream zooms to full size.
        clip_hu: Window; its ends become 0 and 1.
        channel_mean: Subtracted from each slice of a group (ImageNet's RGB).
        channel_std: Divides each slice of a group (ImageNet's RGB).
        bn_momentum: Of the backbones (torchvision's 0.01; 0.1 for training from scratch).
        dropout: Before each head.
        head_prior: Training prior; the heads' bias starts at its logit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: Literal["large", "small"] = "large"
    group_stride: Literal[1, 2, 3] = 1
    edge_pad: bool = False
    fpn_channels: int = Field(default=128, ge=8, le=1024)
    multi_scale: bool = True
    two_stream: bool = True
    slice_fusion: Literal["pooled", "spatial"] = "pooled"
    input_upsample: Literal[1, 2] = 1
    local_px: int = Field(default=32, ge=8, le=SPEC.crop_vox[1], multiple_of=2)
    clip_hu: tuple[float, float] = (-160.0, 240.0)
    channel_mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    channel_std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    bn_momentum: float = Field(default=0.01, gt=0, le=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    head_prior: float = Field(default=NATURAL_PRIOR, gt=0, lt=1)

    @property
    def groups(self) -> int:
        """G: 3-slice images of one node."""
        depth = SPEC.crop_vox[0] + 2 * self.edge_pad
        return (depth - SLICES_PER_GROUP) // self.group_stride + 1

    @property
    def image_px(self) -> int:
        """Side of the images that the backbones see."""
        return SPEC.crop_vox[1] * self.input_upsample

    @model_validator(mode="after")
    def _window_is_open(self) -> "TwoStreamConfig":
        low, high = self.clip_hu
        if not low < high:
            raise ValueError(f"clip_hu is ({low:g}, {high:g}); wanted low < high")
        return self
