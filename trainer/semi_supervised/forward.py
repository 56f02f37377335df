"""Forward passes of a step: the student on all nodes, the teacher on its own view of them."""

import numpy as np
import torch
from torch import Tensor

from trainer.networks.two_stream import Logits
from trainer.semi_supervised.batches import NodeView, TrainingBatch
from trainer.semi_supervised.fold import SslJob, StudentAndTeacher
from trainer.semi_supervised.methods.method import StepNeeds, StepOutputs
from trainer.semi_supervised.student import Student, forward_with_features
from trainer.steps.forward import batch_of


def answers(
    job: SslJob, pair: StudentAndTeacher, needs: StepNeeds, batch: TrainingBatch
) -> StepOutputs:
    """Compute the outputs of student and teacher for a batch.

    The student has one forward pass over all nodes, so that BatchNorm sees one batch.
    """
    views = [batch.labelled]
    if batch.unlabelled is not None:
        views.append(batch.unlabelled)
    if needs.second and batch.second is not None:
        views.append(batch.second)
    sizes = [len(view.hu) for view in views]
    logits, features = forward_with_features(pair.stepped, *_joined(views), job.autocast)
    parts = _cut(logits, sizes)
    no_node = _cut(logits, [0, sum(sizes)])[0]
    outputs = StepOutputs(
        labelled=parts[0],
        unlabelled=parts[1] if len(parts) > 1 else no_node,
        second=parts[2].fused if len(parts) > 2 else None,
        features=None if features is None else features[sizes[0] :],
    )
    return _taught(job, pair.teacher, outputs, batch) if needs.teacher else outputs


@torch.no_grad()
def _taught(
    job: SslJob, teacher: Student, outputs: StepOutputs, batch: TrainingBatch
) -> StepOutputs:
    """Add the teacher's outputs on its own view; for SimMatch also its labelled features."""
    assert batch.second is not None
    if teacher.projection is None:
        logits, _ = forward_with_features(teacher, batch.second.hu, batch.second.mask, job.autocast)
        return StepOutputs(
            labelled=outputs.labelled, unlabelled=outputs.unlabelled, teacher=logits.fused
        )
    views = [batch.labelled, batch.second]
    logits, features = forward_with_features(teacher, *_joined(views), job.autocast)
    assert features is not None
    known = len(batch.labelled.hu)
    return StepOutputs(
        labelled=outputs.labelled,
        unlabelled=outputs.unlabelled,
        second=None,
        features=outputs.features,
        teacher=logits.fused[known:],
        teacher_features=features[known:],
        teacher_labelled=features[:known],
    )


def _joined(views: list[NodeView]) -> tuple[Tensor, Tensor | None]:
    masks = [view.mask for view in views if view.mask is not None]
    return torch.cat([view.hu for view in views]), torch.cat(masks) if masks else None


def _cut(logits: Logits, sizes: list[int]) -> list[Logits]:
    """Split the logits by view."""
    fused, local, global_ = (
        [None] * len(sizes) if head is None else head.split(sizes) for head in logits
    )
    return [
        Logits(one, near, whole)  # pyright: ignore[reportArgumentType] (fused is never None)
        for one, near, whole in zip(fused, local, global_, strict=True)
    ]


@torch.no_grad()
def bank_of(job: SslJob, teacher: Student, places: np.ndarray) -> Tensor:
    """Compute the teacher's features of the labelled nodes without augmentation (SimMatch)."""
    parts = []
    for part in np.array_split(places, max(1, len(places) // job.config.batch)):
        features = forward_with_features(
            teacher, *batch_of(job.cohort, part, job.device), job.autocast
        )[1]
        assert features is not None
        parts.append(features)
    return torch.cat(parts)
