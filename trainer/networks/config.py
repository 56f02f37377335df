"""Every knob of the networks, frozen; the value is the record of what was built."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from engines.patch import SPEC

SLICES_PER_GROUP = 3  # the backbones are 2D networks for RGB images
NATURAL_PRIOR = 188 / (188 + 3447)
"""Share of positive nodes among the labelled ones (paper Sec. 3.1)."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Network(BaseModel):
    """What every network has.

    Attributes:
        clip_hu: Window; its ends become 0 and 1.
        bn_momentum: Of every BatchNorm of the backbone (0.1 for training from scratch).
        dropout: Before each head.
        head_prior: Training prior; the heads' bias starts at its logit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    needs_mask: ClassVar[bool] = False
    """Whether it sees the node's own outline beside the HU."""

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
    """2.5D: groups of three slices are the colour images of a 2D backbone.

    Attributes:
        group_stride: Step between 3-slice groups: 1, 2, 3 give 14, 7, 5 groups of 16 slices.
        edge_pad: Repeat the first and the last slice, so that every slice is used (16, 8, 6).
        fpn_channels: F: width of every fusion, of the heads' input and of the pyramid if any.
        input_upsample: Factor on the 64-pixel images (2 keeps C5 at 4x4; 0.5, for trials on a
            CPU, leaves the local stream its own pixels and halves the global one's).
        local_px: Side of the central square that the local stream zooms to full size.
        channel_mean: Subtracted from each slice of a group.
        channel_std: Divides each slice of a group.
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
        """G: 3-slice images of one node."""
        depth = SPEC.crop_vox[0] + 2 * self.edge_pad
        return (depth - SLICES_PER_GROUP) // self.group_stride + 1

    @property
    def image_px(self) -> int:
        """Side of the images that the backbones see."""
        return int(SPEC.crop_vox[1] * self.input_upsample)


class TwoStreamConfig(GroupedConfig):
    """The two-stream network (Li et al., MICCAI 2024, Sec. 2.1; gaps filled by us).

    Attributes:
        kind: Which network this is the config of.
        variant: MobileNetV3 Large or Small.
        backbone_width: Share of its channels; below 1 for trials on a CPU, which no published
            weights fit.
        multi_scale: Pyramid over three levels; off, the last level alone.
        two_stream: Local and global stream; off, the global stream alone, with one head.
        slice_fusion: `pooled` averages each map before the slices meet; `spatial` after.
        bn_momentum: Of the backbones (torchvision's 0.01; 0.1 for training from scratch).
    """

    kind: Literal["two-stream"] = "two-stream"
    variant: Literal["large", "small"] = "large"
    backbone_width: float = Field(default=1.0, ge=0.25, le=1)
    multi_scale: bool = True
    two_stream: bool = True
    slice_fusion: Literal["pooled", "spatial"] = "pooled"
    bn_momentum: float = Field(default=0.01, gt=0, le=1)


class SlicesConfig(GroupedConfig):
    """A 2.5D baseline of Table 1: one view, the backbone's last level, one head.

    MobileNetV3 2.5D is `TwoStreamConfig` with one stream and one scale.

    Attributes:
        kind: Which network this is the config of.
        backbone: torchvision's ResNet18 or timm's `mobilevitv2_100`. The second was
            pretrained on images in 0..1: its mean is 0, its deviation 1.
    """

    two_stream: ClassVar[bool] = False

    kind: Literal["slices"] = "slices"
    backbone: Literal["resnet18", "mobilevitv2"] = "resnet18"


class _VolumeConfig(_Network):
    """3D, from scratch (paper Sec. 3.2), on the window scaled like one ImageNet channel."""

    two_stream: ClassVar[bool] = False

    channel_mean: float = 0.449  # the mean over ImageNet's three
    channel_std: float = Field(default=0.226, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _streams_need_slices(cls, given: Any) -> Any:  # noqa: ANN401 (whatever pydantic got)
        asked = [
            knob
            for knob in ("two_stream", "multi_scale")
            if isinstance(given, dict) and given.get(knob)
        ]
        if asked:
            raise ValueError(f"{' and '.join(asked)} without 2.5D; wanted a two-stream network")
        return given


class ResNet3dConfig(_VolumeConfig):
    """ResNet18 3D.

    Attributes:
        kind: Which network this is the config of.
        stem_stride: Of the first convolution; 2 costs an eighth.
        backbone_width: Share of its channels; below 1 for trials on a CPU.
    """

    kind: Literal["resnet18-3d"] = "resnet18-3d"
    stem_stride: Literal[1, 2] = 1
    backbone_width: float = Field(default=1.0, ge=0.25, le=1)


class MobileNet3dConfig(_VolumeConfig):
    """MobileNetV3-Large 3D: torchvision's layers, inflated.

    Attributes:
        kind: Which network this is the config of.
        bn_momentum: 0.1, not torchvision's 0.01, for it always starts from scratch.
        backbone_width: Share of its channels; below 1 for trials on a CPU.
    """

    kind: Literal["mobilenetv3-3d"] = "mobilenetv3-3d"
    backbone_width: float = Field(default=1.0, ge=0.25, le=1)


class MobileViT3dConfig(_VolumeConfig):
    """MobileViTv2 3D.

    Attributes:
        kind: Which network this is the config of.
        backbone_width: Share of its channels (the original's smallest network has 0.5).
    """

    kind: Literal["mobilevitv2-3d"] = "mobilevitv2-3d"
    backbone_width: float = Field(default=1.0, ge=0.25, le=1)


class DualNetConfig(_VolumeConfig):
    """3D DualNet (Kann et al. 2018, 2023; code MIT), with the node's own outline.

    Attributes:
        kind: Which network this is the config of.
        clip_hu: Kann's window.
        dilate_mm: Rim around the outline that stays visible, in plane.
        box_dropout: Of BoxNet, after each group and each dense layer.
        small_dropout: Of SmallNet.
        backbone_width: Share of the channels of both; below 1 for trials on a CPU.
        channel_mean: 0, so that outside the outline and the window's low end are one value.
        channel_std: 1.
        dropout: None before the one-logit head, which sees four numbers.
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
"""The config of any network; `kind` says of which."""
