"""The configs of the networks: every setting ("knob") of a network, as a frozen record.

A run and a bundle store the config, so that the same network can be built again.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from engines.patch import SPEC

SLICES_PER_GROUP = 3  # the 2D backbones expect RGB images, which have three channels
NATURAL_PRIOR = 188 / (188 + 3447)
"""Share of positive nodes among the labelled nodes (paper Sec. 3.1)."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Network(BaseModel):
    """Knobs that every network has.

    Attributes:
        clip_hu: Window in HU (low, high); values are clipped to it and scaled to 0..1.
        bn_momentum: Momentum of each BatchNorm of the backbone; 0.1 for training from scratch.
        dropout: Dropout rate before each head.
        head_prior: Share of positives in training; the bias of each head starts at its logit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    needs_mask: ClassVar[bool] = False
    """Whether the network needs the mask of the node in addition to the HU."""

    clip_hu: tuple[float, float] = (-160.0, 240.0)
    bn_momentum: float = Field(default=0.1, gt=0, le=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    head_prior: float = Field(default=NATURAL_PRIOR, gt=0, lt=1)

    @model_validator(mode="after")
    def _window_is_open(self) -> "_Network":
        low, high = self.clip_hu
        if not low < high:
            raise ValueError(f"clip_hu is ({low:g}, {high:g}); wanted low < high")
        return self


class GroupedConfig(_Network):
    """Knobs of a 2.5D network: each group of three slices is one RGB image for a 2D backbone.

    Attributes:
        group_stride: Step between 3-slice groups: 1, 2, 3 give 14, 7, 5 groups from 16 slices.
        edge_pad: Repeat the first and the last slice, so that every slice is used; the groups are
            then 16, 8, 6.
        fpn_channels: Number of channels (F) of every fusion, of the heads' input and of the
            pyramid, if there is one.
        input_upsample: Factor by which the 64-pixel images are resized. With 2, the last level (C5)
            is 4x4. 0.5 is for trials on a CPU: the local images keep their 32 pixels, the
            global images are halved.
        local_px: Side in pixels of the central square that the local stream enlarges to the
            full image size.
        channel_mean: Mean that is subtracted from each slice of a group.
        channel_std: Standard deviation that each slice of a group is divided by.
    """

    group_stride: Literal[1, 2, 3] = 1
    edge_pad: bool = False
    fpn_channels: int = Field(default=128, ge=8, le=1024)
    input_upsample: int | float = Field(default=1, json_schema_extra={"enum": [0.5, 1, 2]})
    local_px: int = Field(default=32, ge=8, le=SPEC.crop_vox[1], multiple_of=2)
    channel_mean: tuple[float, float, float] = IMAGENET_MEAN
    channel_std: tuple[float, float, float] = IMAGENET_STD

    @field_validator("input_upsample")
    @classmethod
    def _whole_images(cls, factor: float) -> float:
        if factor not in (0.5, 1, 2):
            raise ValueError(f"input_upsample is {factor:g}; wanted 0.5, 1 or 2")
        return factor

    @property
    def groups(self) -> int:
        """Number of 3-slice groups of one node (G)."""
        depth = SPEC.crop_vox[0] + 2 * self.edge_pad
        return (depth - SLICES_PER_GROUP) // self.group_stride + 1

    @property
    def image_px(self) -> int:
        """Side in pixels of the images that the backbones get."""
        return int(SPEC.crop_vox[1] * self.input_upsample)


class TwoStreamConfig(GroupedConfig):
    """Knobs of the two-stream network (Li et al., MICCAI 2024, Sec. 2.1; gaps filled by us).

    Attributes:
        kind: Name of the network type.
        variant: Backbone: MobileNetV3 Large or Small.
        backbone_width: Share of the backbone's channels to use. Values below 1 are for trials on a
            CPU; no published weights fit them.
        multi_scale: Use a pyramid over three levels; if off, the last level alone.
        two_stream: Use a local and a global stream; if off, the global stream alone, with one head.
        slice_fusion: `pooled` averages each map before the slices are fused, `spatial` after.
        bn_momentum: BatchNorm momentum of the backbones: torchvision's 0.01, or 0.1 for training
            from scratch.
    """

    kind: Literal["two-stream"] = "two-stream"
    variant: Literal["large", "small"] = "large"
    backbone_width: float = Field(default=1.0, ge=0.25, le=1)
    multi_scale: bool = True
    two_stream: bool = True
    slice_fusion: Literal["pooled", "spatial"] = "pooled"
    bn_momentum: float = Field(default=0.01, gt=0, le=1)


class SlicesConfig(GroupedConfig):
    """Knobs of a 2.5D baseline of Table 1: one view, the last level of the backbone, one head.

    MobileNetV3 2.5D is `TwoStreamConfig` with one stream and one scale.

    Attributes:
        kind: Name of the network type.
        backbone: torchvision's ResNet18 or timm's `mobilevitv2_100`. The second was
            pretrained on images in 0..1; it needs a mean of 0 and a standard deviation of 1.
    """

    two_stream: ClassVar[bool] = False

    kind: Literal["slices"] = "slices"
    backbone: Literal["resnet18", "mobilevitv2"] = "resnet18"


class _VolumeConfig(_Network):
    """Knobs of a 3D network, which is always trained from scratch (paper Sec. 3.2).

    Attributes:
        channel_mean: Mean that is subtracted from the scaled window, as for one ImageNet channel.
        channel_std: Standard deviation that the scaled window is divided by.
    """

    two_stream: ClassVar[bool] = False

    channel_mean: float = 0.449  # mean over the three ImageNet channels
    channel_std: float = Field(default=0.226, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _streams_need_slices(cls, given: Any) -> Any:  # noqa: ANN401 (pydantic passes any value)
        asked = [
            knob
            for knob in ("two_stream", "multi_scale")
            if isinstance(given, dict) and given.get(knob)
        ]
        if asked:
            raise ValueError(f"{' and '.join(asked)} without 2.5D; wanted a two-stream network")
        return given


class ResNet3dConfig(_VolumeConfig):
    """Knobs of ResNet18 3D.

    Attributes:
        kind: Name of the network type.
        stem_stride: Stride of the first convolution; 2 needs an eighth of the computation.
        backbone_width: Share of the channels to use; values below 1 are for trials on a CPU.
    """

    kind: Literal["resnet18-3d"] = "resnet18-3d"
    stem_stride: Literal[1, 2] = 1
    backbone_width: float = Field(default=1.0, ge=0.25, le=1)


class MobileNet3dConfig(_VolumeConfig):
    """Knobs of MobileNetV3-Large 3D, made from torchvision's 2D layers.

    Attributes:
        kind: Name of the network type.
        bn_momentum: BatchNorm momentum: 0.1, not torchvision's 0.01, because this network is
            always trained from scratch.
        backbone_width: Share of the channels to use; values below 1 are for trials on a CPU.
    """

    kind: Literal["mobilenetv3-3d"] = "mobilenetv3-3d"
    backbone_width: float = Field(default=1.0, ge=0.25, le=1)


class MobileViT3dConfig(_VolumeConfig):
    """Knobs of MobileViTv2 3D.

    Attributes:
        kind: Name of the network type.
        backbone_width: Share of the channels to use (the smallest network of the original
            authors has 0.5).
    """

    kind: Literal["mobilevitv2-3d"] = "mobilevitv2-3d"
    backbone_width: float = Field(default=1.0, ge=0.25, le=1)


class DualNetConfig(_VolumeConfig):
    """Knobs of 3D DualNet (Kann et al. 2018, 2023; MIT licence), which needs the node's mask.

    Attributes:
        kind: Name of the network type.
        clip_hu: Window in HU that Kann et al. use.
        dilate_mm: In-plane width in mm of the rim around the outline that stays visible.
        box_dropout: Dropout rate in BoxNet, after each group of layers and each dense layer.
        small_dropout: Dropout rate in SmallNet.
        backbone_width: Share of the channels of both networks to use; values below 1 are for
            trials on a CPU.
        channel_mean: Mean that is subtracted. It is 0, so that voxels outside the outline have the
            same value as the lower end of the window.
        channel_std: Standard deviation that the scaled window is divided by.
        dropout: Dropout rate before the head; 0, because the head has only four inputs.
    """

    needs_mask: ClassVar[bool] = True

    kind: Literal["dualnet-3d"] = "dualnet-3d"
    clip_hu: tuple[float, float] = (-175.0, 275.0)
    dilate_mm: float = Field(default=4.0, ge=0, le=20)
    box_dropout: float = Field(default=0.4, ge=0, lt=1)
    small_dropout: float = Field(default=0.5, ge=0, lt=1)
    backbone_width: float = Field(default=1.0, ge=0.25, le=1)
    channel_mean: float = 0.0
    channel_std: float = Field(default=1.0, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)


NetworkConfig = Annotated[
    TwoStreamConfig
    | SlicesConfig
    | ResNet3dConfig
    | MobileNet3dConfig
    | MobileViT3dConfig
    | DualNetConfig,
    Field(discriminator="kind"),
]
"""The config of any network; `kind` names the network type."""
