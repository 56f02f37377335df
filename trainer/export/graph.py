"""Export a network as a bundle: ONNX in both precisions, golden inputs, a manifest.

The float16 graph has half-precision weights and arithmetic; window, zoom and sigmoid stay
float32. CPUs run the float32 graph, which is rewritten for them without changing the function.
"""

import copy
import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from engines import bundle as bundles
from engines.back_ends import Precision
from engines.bundle import MANIFEST, Bundle
from engines.graph import FUSED, FUSED_LOGIT, GLOBAL, INPUT, LOCAL, OUTPUTS
from engines.manifest import OPSET, About, File, Manifest, ModelFile, patch_rules
from engines.parity import golden_spread
from engines.patch import SPEC, crop
from engines.scores import Scores, check_patches
from engines.shapes import Patches
from trainer.errors import TrainerError
from trainer.export.onnx_rewriting import keep_blocked
from trainer.export.rewriting import rewritten
from trainer.networks.registry import Network
from trainer.networks.two_stream import BATCHNORMS, TwoStream

if TYPE_CHECKING:
    import onnx

MODEL_FILES: dict[Precision, str] = {"fp32": "model.onnx", "fp16": "model.fp16.onnx"}
GOLDEN_FILE = "golden.npz"
CARD_FILE = "model_card.md"


class ExportedGraph(nn.Module):
    """The graph of an engine: input HU crops, outputs probabilities and the fused logit."""

    def __init__(self, network: Network) -> None:
        """Wrap a network."""
        super().__init__()
        self.network = network

    def forward(self, hu: Tensor) -> dict[str, Tensor]:
        """Score float32 HU crops of shape (node, 16, 64, 64); each output is float32 (node,)."""
        logits = self.network(hu)
        fused = logits.fused.float()
        outputs = {FUSED: fused.sigmoid()}
        if logits.local is not None and logits.global_ is not None:
            outputs |= {LOCAL: logits.local.float().sigmoid()}
            outputs |= {GLOBAL: logits.global_.float().sigmoid()}
        return outputs | {FUSED_LOGIT: fused}


def export(
    network: Network,
    golden: Patches,
    about: About,
    folder: Path,
    *,
    precisions: Sequence[Precision] = tuple(MODEL_FILES),
    card: str | None = None,
) -> Bundle:
    """Write a bundle completely or not at all.

    Args:
        network: The network; it is exported in evaluation mode and not changed.
        golden: HU patches (node, 18, 80, 80) to which the network gives different scores.
        about: Facts for the manifest.
        folder: Folder of the bundle; must not exist.
        precisions: Precisions of the graphs; fp32 is the reference and must be among them.
        card: Text of the model card, Markdown; None writes none.

    Returns:
        The bundle, read back and verified.

    Raises:
        TrainerError: T01 the folder exists; T44 the network needs more than HU patches.
        EngineError: E08 the golden inputs are not HU patches; E10 their scores are alike.
    """
    if folder.exists():
        raise TrainerError("T01", f"'{folder.name}' exists", "a new folder", "Name another.")
    if network.needs_mask:
        raise TrainerError(
            "T44",
            f"{network.config.kind}, which needs every node's outline",
            "a network that scores HU patches alone",
            "Engines get no outlines: choose another network.",
        )
    network = copy.deepcopy(network).eval().cpu().float()
    expected = torch_scores(network, golden)
    golden_spread(expected)
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        models = _write_models(network, precisions, made)
        _write(network, golden, expected, about, models, card, made)
        bundles.read(made)
        made.chmod(0o755)  # mkdtemp makes the folder private
        os.replace(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return bundles.read(folder)


def torch_scores(network: Network, patches: Patches) -> Scores:
    """Score patches with torch in evaluation mode and float32: the reference for parity tests.

    Raises:
        EngineError: E08 the patches are not HU patches.
    """
    check_patches(patches)
    hu = torch.from_numpy(crop(patches).astype(np.float32))
    with torch.inference_mode():
        outputs = ExportedGraph(network).eval()(hu)
    arrays = {name: value.numpy() for name, value in outputs.items()}
    return Scores(arrays[FUSED], arrays.get(LOCAL), arrays.get(GLOBAL), arrays[FUSED_LOGIT])


def weights_sha256(network: Network) -> str:
    """Return the SHA-256 of the weights as safetensors; equal weights have equal hashes."""
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    return hashlib.sha256(safetensors.torch.save(state)).hexdigest()


def onnx_bytes(network: Network, precision: Precision) -> bytes:
    """Export the network as one ONNX file, opset 20, for any number of nodes.

    Args:
        network: The network in evaluation mode, on the CPU, in float32.
        precision: Precision of weights and arithmetic.

    Returns:
        Content of the file; it does not contain where it was made.
    """
    network = folded(network)
    ready = halved(network) if precision == "fp16" else quickened(network)
    return onnx_model(ready, precision).SerializeToString(deterministic=True)


def onnx_model(network: Network, precision: Precision) -> "onnx.ModelProto":
    """Export a network that is folded and, depending on the precision, quickened or halved.

    Raises:
        TrainerError: T02 the exporter returned nothing.
    """
    sample = torch.zeros(2, *SPEC.crop_vox)
    program = torch.onnx.export(
        ExportedGraph(network).eval(),
        (sample,),
        dynamo=True,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=list(OUTPUTS[network.config.two_stream]),
        dynamic_shapes=({0: torch.export.Dim("node", min=1)},),
        external_data=False,
        verbose=False,
    )
    if program is None:
        raise TrainerError("T02", "no program from the exporter", "one", "Check torch's version.")
    model = program.model_proto
    if precision == "fp32":
        keep_blocked(model)
    strip_origin(model)
    return model


def folded(network: Network) -> Network:
    """Return a copy in evaluation mode with every BatchNorm multiplied into its convolution.

    This is done in float32, before the weights are halved, which halves the error of float16. No
    activation works in place: the graph is the same, and the export takes a third less time.
    """
    copied = copy.deepcopy(network).eval()
    for module in list(copied.modules()):
        for (first, convolution), (second, norm) in pairwise(list(module.named_children())):
            if isinstance(norm, BATCHNORMS) and isinstance(convolution, nn.Conv2d | nn.Conv3d):
                setattr(module, first, fuse_conv_bn_eval(convolution, norm))
                # timm's own BatchNorm class contains the activation as well.
                setattr(module, second, getattr(norm, "act", nn.Identity()))
    for module in copied.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # pyright: ignore[reportArgumentType]
    return copied


def quickened(network: Network) -> Network:
    """Return a two-stream network rewritten for fast CPU inference; other networks as they are."""
    return rewritten(network) if isinstance(network, TwoStream) else network


def halved(network: Network) -> Network:
    """Return a copy with float16 weights and arithmetic, except for the views."""
    copied = copy.deepcopy(network)
    for name, part in copied.named_children():
        if name != "views":
            part.half()
    return copied


def strip_origin(model: "onnx.ModelProto") -> None:
    """Remove what the exporter records about its origin: source paths, lines, stack traces."""
    for part in [model, *model.functions, *_graph_parts(model.graph)]:
        if hasattr(part, "doc_string"):
            part.doc_string = ""
        del part.metadata_props[:]


def _graph_parts(graph: "onnx.GraphProto") -> Iterator[Any]:
    yield graph
    yield from graph.node
    yield from (*graph.input, *graph.output, *graph.value_info, *graph.initializer)


def _write_models(
    network: Network, precisions: Sequence[Precision], folder: Path
) -> dict[Precision, ModelFile]:
    models = {}
    for precision in precisions:
        file = MODEL_FILES[precision]
        sha256 = _put(folder / file, onnx_bytes(network, precision))
        models[precision] = ModelFile(file=file, sha256=sha256, opset=OPSET)
    return models


def _write(
    network: Network,
    golden: Patches,
    expected: Scores,
    about: About,
    models: dict[Precision, ModelFile],
    card: str | None,
    folder: Path,
) -> None:
    arrays = {"patches": golden, FUSED: expected.fused, FUSED_LOGIT: expected.fused_logit}
    if expected.local is not None and expected.global_ is not None:
        arrays |= {LOCAL: expected.local, GLOBAL: expected.global_}
    manifest = Manifest(
        **about.model_dump(),
        network=network.config.model_dump(mode="json"),
        weights_sha256=weights_sha256(network),
        patch=patch_rules(),
        models=models,
        golden=File(file=GOLDEN_FILE, sha256=_put(folder / GOLDEN_FILE, npz_bytes(arrays))),
        card=None if card is None else _card(folder, card),
    )
    text = json.dumps(manifest.model_dump(mode="json"), indent=2) + "\n"
    _put(folder / MANIFEST, text.encode())


def _card(folder: Path, text: str) -> File:
    return File(file=CARD_FILE, sha256=_put(folder / CARD_FILE, text.encode()))


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """Pack a compressed .npz without times, so that the same arrays give the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            raw = io.BytesIO()
            np.save(raw, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, raw.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return packed.getvalue()


def _put(file: Path, data: bytes) -> str:
    file.write_bytes(data)
    return hashlib.sha256(data).hexdigest()
