"""Where a network's weights come from before the first step."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from trainer.errors import TrainerError
from trainer.networks.body import heads_of, is_body, load_body
from trainer.networks.pretrained import (
    LIBRARIES,
    NONE,
    fill_backbones,
    load_source,
    read_weights,
)
from trainer.networks.registry import head_parameters


@dataclass(frozen=True)
class Start:
    """Drawn weights, a library's, or a file's.

    Attributes:
        source: `none`, `torchvision:<weights>`, `timm:<name>`; not read where there is a file.
        file: Safetensors: backbones, or what `--stage pretrain` wrote.
        sha256: Of the file.
    """

    source: str = NONE
    file: Path | None = None
    sha256: str = ""

    @classmethod
    def named(cls, text: str, sha256: str) -> "Start":
        """What a user names: `none`, a library's weights, or else a file."""
        if text == NONE or text.partition(":")[0] in LIBRARIES:
            return cls(text)
        return cls(text, Path(text), sha256)

    def fill(self, network: nn.Module) -> tuple[frozenset[str], str]:
        """Fill what there is; (parameters that learn faster, the source in words).

        Faster learn the layers that no file fills; of a network that none fills, its heads.

        Raises:
            TrainerError: T03, T43 the weights cannot be had or do not fit; T45 no SHA-256.
        """
        if self.file is None:
            source = load_source(network, self.source)
            fresh = heads_of(network) if source == NONE else frozenset(head_parameters(network))
            return fresh, source
        if not self.sha256:
            raise TrainerError(
                "T45",
                f"pretrained weights '{self.file.name}' without a SHA-256",
                "the hash that its maker states",
                "Give it with --sha256; `sha256sum FILE` shows it.",
            )
        weights = read_weights(self.file, self.sha256)
        source = f"file:{self.sha256.lower()}"
        if is_body(self.file):
            return load_body(network, weights, self.file.name), f"pretrained {source}"
        fill_backbones(network, weights, f"'{self.file.name}'")
        return frozenset(head_parameters(network)), source
