"""The training loop of the semi-supervised stage (eq. 3) for one fold.

What differs between methods is in `trainer.semi_supervised.methods`.
"""

import statistics
import time
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from trainer.data.folds import VALIDATION
from trainer.data.sampling import DROPOUT_STREAM, SELECTION_STREAM, SSL, seed_of, stream
from trainer.runs import checkpoint
from trainer.runs.directory import BEST
from trainer.semi_supervised import ledger, teacher_session
from trainer.semi_supervised.batches import Pools, TrainingBatch, draw, labelled_pool
from trainer.semi_supervised.checkpoint import both, keep, resume
from trainer.semi_supervised.fold import (
    SemiSupervisedProgress,
    SslJob,
    StudentAndTeacher,
    fresh_parameters,
    make_pair,
)
from trainer.semi_supervised.forward import answers, bank_of
from trainer.semi_supervised.methods.choose import choose, needs_of
from trainer.semi_supervised.methods.method import Method, StepOutputs
from trainer.semi_supervised.sharpen import FEWEST_MALIGNANT, Rules, select, sharpen
from trainer.semi_supervised.student import Student
from trainer.semi_supervised.teacher import alpha_at, update_teacher
from trainer.semi_supervised.teacher_session import TeacherSession
from trainer.semi_supervised.total_loss import total_loss
from trainer.steps.distributed import gathered, wait
from trainer.steps.forward import logits_of
from trainer.steps.guards import CHECK_EVERY, check_loss, out_of_memory
from trainer.steps.losses import sharpening_loss, sup_loss
from trainer.steps.optimizers import build_optimizer, set_rates

THIN_EPOCHS = 5
"""After so many epochs with hardly any malignant pseudo-label the user gets a note."""


@dataclass(frozen=True)
class EpochPseudoLabels:
    """Pseudo-labels of one epoch; arrays over the unlabelled nodes.

    Attributes:
        label: Pseudo-label of selected nodes, 0 or 1, float32; 0 for other nodes.
        selected: True for nodes that are trained on in this epoch, bool.
    """

    label: np.ndarray
    selected: np.ndarray


def train_fold(job: SslJob) -> SemiSupervisedProgress:
    """Train one fold, or resume it; write `last` and `best` checkpoints to its folder.

    If an error stops the training, finished epochs are kept.

    Raises:
        TrainerError: T12 the loss is not finite; T13 out of memory; T64 see `refresh`.
    """
    config, ranks, needs = job.config, job.ranks, needs_of(job.config)
    pair = make_pair(job)
    pools = pools_of(job)
    optimizer = build_optimizer(pair.student, config, fresh_parameters(pair.student))
    labels = torch.from_numpy(pools.labels).to(job.device)
    bank = bank_of(job, pair.teacher, pools.labelled) if needs.features else None
    method = choose(config, len(pools.unlabelled), bank, labels, ranks)
    progress = resume(job, pair, optimizer, method)
    session = teacher_session.begin(job)
    with out_of_memory(config.batch):
        for epoch in range(progress.epoch, config.epochs):
            started = time.monotonic()
            chosen, pool = _sharpen(job, pair.teacher, session, pools, progress)
            line = {"epoch": epoch} | pool
            line |= _epoch(job, pair, pools, method, optimizer, progress, chosen)
            method.after_epoch()
            progress.epoch = epoch + 1
            if progress.epoch % config.validate_every == 0 or progress.epoch == config.epochs:
                line["validation_auroc"] = _validate(job, pair, progress)
            line["learning_rate"] = optimizer.param_groups[0]["lr"]
            line["seconds"] = round(time.monotonic() - started, 3)
            if ranks.writes:
                keep(job, pair, optimizer, method, progress, line)
            wait(ranks)
    return progress


def pools_of(job: SslJob) -> Pools:
    """Return the labelled and the unlabelled nodes of a fold that its batches are drawn from."""
    places, labels = labelled_pool(job.cohort, job.fold, job.unlabelled)
    return Pools(
        cohort=job.cohort,
        labelled=places,
        labels=labels,
        unlabelled=job.unlabelled.index,
        config=job.config,
        fold=job.fold.number,
        needs=needs_of(job.config),
        device=job.device,
        ranks=job.ranks,
    )


def _sharpen(
    job: SslJob,
    teacher: Student,
    session: TeacherSession | None,
    pools: Pools,
    progress: SemiSupervisedProgress,
) -> tuple[EpochPseudoLabels | None, dict[str, int]]:
    """Score all unlabelled nodes, give pseudo-labels, and select K of these nodes."""
    config, known = job.config, job.unlabelled
    if not pools.needs.sharpen:
        return None, {}
    done, whole = progress.epoch * pools.steps, config.epochs * pools.steps
    job.watch(done, whole, f"epoch {progress.epoch + 1}, scoring unlabelled nodes")
    score = refresh(job, teacher, session)
    rules = Rules(config.beta, config.gamma, config.benign_rule, config.malignant_rule)
    given = sharpen(score, known.status, known.bags, rules)
    rng = stream(config.seed, job.fold.number, progress.epoch, SSL + SELECTION_STREAM)
    count = config.selected_per_batch * pools.steps  # K
    selected = select(given.label, count, config.select, rng)
    if job.ranks.writes:
        rows = ledger.rows(job.cohort, known, progress.epoch, score, given, selected)
        ledger.append(job.place / ledger.FILE, rows)
    progress.thin = progress.thin + 1 if given.pool(1) < FEWEST_MALIGNANT else 0
    pool = {"malignant_pool": given.pool(1), "benign_pool": given.pool(0)}
    chosen = EpochPseudoLabels(np.where(selected, given.label, 0).astype(np.float32), selected)
    return chosen, pool | {"selected": int(selected.sum())}


def refresh(job: SslJob, teacher: Student, session: TeacherSession | None) -> np.ndarray:
    """Compute the teacher's probabilities of all unlabelled nodes, float32, in evaluation mode.

    Each process scores a part; all get the whole and therefore select the same nodes.

    Args:
        job: Inputs of the fold.
        teacher: The current teacher.
        session: ONNX Runtime session that scores; None if torch scores.

    Raises:
        TrainerError: T64 the session's output differs from torch's.
    """
    places, world = job.unlabelled.index, job.ranks.world
    even = np.resize(places, -(-len(places) // world) * world)
    mine = even[job.ranks.share(len(even))]
    if session is None:
        logits = logits_of(teacher.network, job.cohort, mine, job.device, job.autocast)[:, 0]
    else:
        logits = session.logits_of(teacher.network, job.cohort, mine)
    whole = gathered(torch.from_numpy(logits).to(job.device), job.ranks)
    return torch.sigmoid(whole).cpu().numpy()[: len(places)]


def _epoch(
    job: SslJob,
    pair: StudentAndTeacher,
    pools: Pools,
    method: Method,
    optimizer: torch.optim.Optimizer,
    progress: SemiSupervisedProgress,
    chosen: EpochPseudoLabels | None,
) -> dict[str, float]:
    """Train one epoch and return the mean of the loss and of each term of eq. 3."""
    config, epoch, steps = job.config, progress.epoch, pools.steps
    pair.stepped.train()
    pair.teacher.eval()
    torch.manual_seed(
        seed_of(stream(config.seed, job.fold.number, epoch, SSL + DROPOUT_STREAM)) + job.ranks.rank
    )
    totals, note = torch.zeros(3, device=job.device), ""
    for step, batch in enumerate(draw(pools, epoch)):
        now = epoch * steps + step
        set_rates(optimizer, config, now, config.epochs * steps)
        outputs = answers(job, pair, pools.needs, batch)
        supervised = sup_loss(outputs.labelled, batch.target)
        unsupervised = method.loss(outputs, batch.slots)
        sharpened = _sharpened(job, outputs, batch, chosen)
        loss = total_loss(supervised, unsupervised, sharpened, config.omega)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        update_teacher(
            pair.teacher, pair.student, alpha_at(now, config.alpha, warmup=config.ema_warmup)
        )  # eq. 2
        method.after_step(outputs, batch.slots)
        totals += torch.stack([supervised, unsupervised, sharpened]).detach()
        if step % CHECK_EVERY == 0 or step == steps - 1:
            check_loss(float(totals.sum()), config.learning_rate)
            note = _note(progress, float(totals[0]) / (step + 1))
        job.watch(now + 1, config.epochs * steps, note)
    means = (totals / steps).tolist()
    named = dict(zip(("supervised", "unsupervised", "sharpened"), means, strict=True))
    return {"loss": total_loss(means[0], means[1], means[2], config.omega)} | named


def _sharpened(
    job: SslJob, outputs: StepOutputs, batch: TrainingBatch, chosen: EpochPseudoLabels | None
) -> Tensor:
    """Compute the third term of eq. 3 on the selected nodes of the batch; 0 if there are none."""
    if chosen is None:
        return torch.zeros((), device=job.device)
    slots, world = batch.slots, job.ranks.world
    label = torch.from_numpy(chosen.label[slots.mine]).to(job.device)
    selected = torch.from_numpy(chosen.selected[slots.mine]).to(job.device).float()
    # Gradients are averaged over processes, which have different numbers of selected nodes.
    count = max(float(chosen.selected[slots.unlabelled].sum()), 1.0) / world
    return sharpening_loss(outputs.unlabelled, label, selected, count)


def _note(progress: SemiSupervisedProgress, loss: float) -> str:
    auroc = f", validation AUROC {progress.validations[-1]:.3f}" if progress.validations else ""
    thin = ", hardly a malignant pseudo-label" if progress.thin >= THIN_EPOCHS else ""
    return f"epoch {progress.epoch + 1}, loss {loss:.3f}{auroc}{thin}"


def _validate(job: SslJob, pair: StudentAndTeacher, progress: SemiSupervisedProgress) -> float:
    """Compute the validation AUROC of the reported network; save both if its median is best."""
    index = job.fold.nodes(job.cohort, VALIDATION)
    logits = logits_of(pair.reported, job.cohort, index, job.device, job.autocast)
    auroc = float(roc_auc_score(job.cohort.labels[index], logits[:, 0]))
    progress.validations.append(auroc)
    median = statistics.median(progress.validations[-job.config.smooth :])
    if median < progress.best:
        return auroc
    progress.best, progress.best_epoch = median, progress.epoch
    if job.ranks.writes:
        facts = {"epoch": progress.epoch, "validation_auroc": auroc, "median": median}
        checkpoint.save(job.place / BEST, both(pair), facts | {"network": job.config.network})
    return auroc
