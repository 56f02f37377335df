"""Compute a trained network's predictions of a fold's validation and test nodes."""

from collections.abc import Iterable
from functools import partial

import numpy as np
import torch
from torch import nn

from trainer.data.cohort import Cohort
from trainer.data.folds import TEST, VALIDATION, Fold
from trainer.runs.predictions import Predictions, concat, sigmoid
from trainer.steps.forward import logits_of
from trainer.steps.guards import autocast_of


def predict(network: nn.Module, cohort: Cohort, fold: Fold, device: torch.device) -> Predictions:
    """Predict the validation and test nodes of a fold, in fp32 like the engine made from it."""
    return concat([_of_part(network, cohort, fold, part, device) for part in (VALIDATION, TEST)])


def _of_part(
    network: nn.Module, cohort: Cohort, fold: Fold, part: str, device: torch.device
) -> Predictions:
    index = fold.nodes(cohort, part)
    exact = partial(autocast_of, device, "fp32")
    logits = logits_of(network, cohort, index, device, exact).astype(float)
    nodes = [cohort.nodes[i] for i in index]
    return Predictions(
        node_id=np.array([node.node_id for node in nodes]),
        tracking_uid=np.array([node.tracking_uid for node in nodes]),
        patient_id=np.array([node.patient_id for node in nodes]),
        fold=np.full(len(nodes), fold.number),
        part=np.full(len(nodes), part),
        label=cohort.labels[index].astype(int),
        logit=logits[:, 0],
        probability=sigmoid(logits[:, 0]),
        local=logits[:, 1],
        global_=logits[:, 2],
        short_axis_mm=_floats(node.short_axis_mm for node in nodes),
        long_axis_mm=_floats(node.long_axis_mm for node in nodes),
        volume_mm3=_floats(node.volume_mm3 for node in nodes),
        slice_mm=_floats(node.slice_mm for node in nodes),
        station=np.array([node.station for node in nodes]),
    )


def _floats(values: Iterable[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)
