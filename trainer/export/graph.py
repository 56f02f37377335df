"""A network becomes a bundle: ONNX in both precisions, golden inputs, a manifest.

Float16 halves the weights and the arithmetic; window, zoom and sigmoid stay float32. The
float32 graph is the one that CPUs run: it is rewritten for them, to the same function.
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
from engines.bundle import MANIFEST, Bundle
from engines.graph import FUSED, FUSED_LOGIT, GLOBAL, INPUT, LOCAL, OUTPUTS
from engines.manifest import OPSET, About, File, Manifest, ModelFile, Precision, patch_rules
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
    """The graph of an engine: HU crops in, probabilities and the fused logit out."""

    def __init__(self, network: Network) -> None:
        """Wrap a network."""
        super().__init__()
        self.network = network

    def forward(self, hu: Tensor) -> dict[str, Tensor]:
        """Score float32 HU crops of shape (node, 16, 64, 64); outputs float32 (node,)."""
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
    """Write a bundle, all or nothing.

    Args:
        network: The network; scored in evaluation mode, left as it was.
        golden: HU patches (node, 18, 80, 80) that the network scores differently.
        about: What the manifest states.
        folder: The bundle's folder; must not exist.
        precisions: Of the graphs; fp32 is the reference and must be among them.
        card: The model card, Markdown; None writes none.

    Returns:
        The bundle, read back and verified.

    Raises:
        TrainerError: T01 the folder exists; T44 the network needs more than HU patches.
        EngineError: E08 the golden inputs are no HU patches, E10 they are scored alike.
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
        made.chmod(0o755)  # mkdtemp makes it private
        os.replace(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return bundles.read(folder)


def torch_scores(network: Network, patches: Patches) -> Scores:
    """Score patches with torch, in evaluation mode and float32: the reference of parity.

    Raises:
        EngineError: E08 the patches are no HU patches.
    """
    check_patches(patches)
    hu = torch.from_numpy(crop(patches).astype(np.float32))
    with torch.inference_mode():
        outputs = ExportedGraph(network).eval()(hu)
    arrays = {name: value.numpy() for name, value in outputs.items()}
    return Scores(arrays[FUSED], arrays.get(LOCAL), arrays.get(GLOBAL), arrays[FUSED_LOGIT])


def weights_sha256(network: Network) -> str:
    """SHA-256 of the weights as safetensors: the same numbers, the same hash."""
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    return hashlib.sha256(safetensors.torch.save(state)).hexdigest()


def onnx_bytes(network: Network, precision: Precision) -> bytes:
    """The network as one ONNX file, opset 20, any number of nodes.

    Args:
        network: In evaluation mode, on the CPU, float32.
        precision: Of weights and arithmetic.

    Returns:
        The file; nothing in it says where it was made.
    """
    network = folded(network)
    ready = halved(network) if precision == "fp16" else quickened(network)
    return onnx_model(ready, precision).SerializeToString(deterministic=True)


def onnx_model(network: Network, precision: Precision) -> "onnx.ModelProto":
    """The graph of a network that is folded and, by its precision, quickened or halved.

    Raises:
        TrainerError: T02 the exporter gave nothing.
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
    """A copy in evaluation mode with every BatchNorm multiplied into its convolution.

    Done in float32, before the weights are halved: it halves the error of float16. No
    activation works in place: the graph is the same, and the exporter has it a third sooner.
    """
    copied = copy.deepcopy(network).eval()
    for module in list(copied.modules()):
        for (first, convolution), (second, norm) in pairwise(list(module.named_children())):
            if isinstance(norm, BATCHNORMS) and isinstance(convolution, nn.Conv2d | nn.Conv3d):
                setattr(module, first, fuse_conv_bn_eval(convolution, norm))
                # timm's own kind holds the activation as well.
                setattr(module, second, getattr(norm, "act", nn.Identity()))
    for module in copied.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # pyright: ignore[reportArgumentType]
    return copied


def quickened(network: Network) -> Network:
    """The two-stream network as a CPU runs it fastest; any other as it is."""
    return rewritten(network) if isinstance(network, TwoStream) else network


def halved(network: Network) -> Network:
    """A copy whose weights and arithmetic are float16, all but the views."""
    copied = copy.deepcopy(network)
    for name, part in copied.named_children():
        if name != "views":
            part.half()
    return copied


def strip_origin(model: "onnx.ModelProto") -> None:
    """Remove what the exporter notes of its origin: source paths, lines, stack traces."""
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
    """A compressed .npz without times, so that the same arrays are the same bytes."""
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
