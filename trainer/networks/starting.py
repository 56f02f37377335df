"""The weights that a network starts with: random, from a library, or from a file."""

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
    """Source of the weights that a network starts with.

    Attributes:
        source: `none` (random weights), `torchvision:<weights>` or `timm:<name>`; not used if there
            is a file.
        file: Safetensors file of backbones, or the body that `--stage pretrain` wrote.
        sha256: SHA-256 that the file must have.
    """

    source: str = NONE
    file: Path | None = None
    sha256: str = ""

    @classmethod
    def named(cls, text: str, sha256: str) -> "Start":
        """Return the start that the user named: `none`, weights of a library, or else a file."""
        if text == NONE or text.partition(":")[0] in LIBRARIES:
            return cls(text)
        return cls(text, Path(text), sha256)

    def fill(self, network: nn.Module) -> tuple[frozenset[str], str]:
        """Load the weights into a network.

        Returns:
            Names of the parameters that get the higher learning rate, and the source as a text.
            These are the parameters that were not loaded; with source `none`, those of the heads.

        Raises:
            TrainerError: T03, T43 the weights are not available or do not fit; T45 the SHA-256 of
                the file was not given.
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
