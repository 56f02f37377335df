"""The semi-supervised stage: eq. 3, one fold.

It reads from top to bottom; what differs between methods is in `trainer.methods`.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from trainer import checkpoint, ledger, run_directory
from trainer.cohort import Cohort
from trainer.distributed import Ranks, gathered, spread, wait
from trainer.folds import VALIDATION, Fold
from trainer.losses import sharpening_loss, sup_loss
from trainer.methods.choose import choose, needs_of
from trainer.methods.method import Method, Said
from trainer.networks.two_stream import Logits
from trainer.optimizers import build_optimizer, set_rates
from trainer.run_directory import BEST, LAST, LOG
from trainer.sampling import DROPOUT_STREAM, SELECTION_STREAM, SSL, seed_of, stream
from trainer.scoring import batch_of, logits_of
from trainer.sharpen import FEWEST_MALIGNANT, Rules, select, sharpen
from trainer.ssl_batches import Batch, Pools, View, draw, labelled_pool
from trainer.ssl_config import SslConfig
from trainer.stage_supervised import CHECK_EVERY, Watch, autocast_of, check_loss, out_of_memory
from trainer.student import Student, speak
from trainer.teacher import alpha_at, make_teacher, update_teacher
from trainer.unlabelled import Unlabelled

STUDENT, TEACHER, STATE, OTHER = "student/", "teacher/", "state/", "other/"
THIN_EPOCHS = 5
"""So many epochs with hardly a malignant pseudo-label are told to the user."""


@dataclass
class Progress:
    """What a fold has reached; stored in every checkpoint.

    Attributes:
        epoch: Epochs done.
        validations: Validation AUROC of every validation, of the reported network.
        best: Highest median so far.
        best_epoch: The epoch of that checkpoint, from 1; 0 before the first.
        thin: Epochs in a row with fewer than ten malignant pseudo-labels to choose from.
    """

    epoch: int = 0
    validations: list[float] = field(default_factory=list)
    best: float = -1.0
    best_epoch: int = 0
    thin: int = 0


@dataclass(frozen=True)
class SslJob:
    """One fold to train.

    Attributes:
        network: With the weights of the supervised run; on the device.
        config: The stage's values.
        cohort: Patches and labels.
        unlabelled: The unlabelled nodes and their stations.
        fold: Whose patients train and validate.
        place: The fold's folder.
        device: Where the network is.
        ranks: This process among all.
        watch: Told of every step.
        track: Told of every epoch's numbers.
    """

    network: nn.Module
    config: SslConfig
    cohort: Cohort
    unlabelled: Unlabelled
    fold: Fold
    place: Path
    device: torch.device
    ranks: Ranks
    watch: Watch
    track: Callable[[dict[str, Any]], None] = lambda line: None

    @property
    def autocast(self) -> Callable[[], torch.autocast]:
        """The precision of a forward pass."""
        return partial(autocast_of, self.device, self.config.precision)


@dataclass(frozen=True)
class Pair:
    """Student and teacher.

    Attributes:
        student: Trained; its plain form, which the teacher follows.
        stepped: The same as the step calls it, over several processes.
        teacher: The student's moving average.
        reported: The one of the two that is validated and reported.
        other: The other.
    """

    student: Student
    stepped: nn.Module
    teacher: Student
    reported: nn.Module
    other: nn.Module


@dataclass(frozen=True)
class Chosen:
    """This epoch's pseudo-labels; arrays over the unlabelled nodes.

    Attributes:
        label: 0 or 1 where selected, float32.
        selected: bool.
    """

    label: np.ndarray
    selected: np.ndarray


def train_fold(job: SslJob) -> Progress:
    """Train one fold, or go on with it; leaves `last` and `best` checkpoints in its folder.

    Raises:
        TrainerError: T12 the loss is not finite; T13 out of memory; what was finished is kept.
    """
    config, ranks, needs = job.config, job.ranks, needs_of(job.config)
    pair = _pair(job)
    pools = _pools(job)
    optimizer = build_optimizer(pair.student, config, _fresh(pair.student))
    labels = torch.from_numpy(pools.labels).to(job.device)
    bank = _bank(job, pair.teacher, pools.labelled) if needs.features else None
    method = choose(config, len(pools.unlabelled), bank, labels, ranks)
    progress = _resume(job, pair, optimizer, method)
    with out_of_memory(config.batch):
        for epoch in range(progress.epoch, config.epochs):
            started = time.monotonic()
            chosen, pool = _sharpen(job, pair.teacher, pools, progress)
            line = {"epoch": epoch} | pool
            line |= _epoch(job, pair, pools, method, optimizer, progress, chosen)
            method.after_epoch()
            progress.epoch = epoch + 1
            if progress.epoch % config.validate_every == 0 or progress.epoch == config.epochs:
                line["validation_auroc"] = _validate(job, pair, progress)
            line["learning_rate"] = optimizer.param_groups[0]["lr"]
            line["seconds"] = round(time.monotonic() - started, 3)
            if ranks.writes:
                _keep(job, pair, optimizer, method, progress, line)
            wait(ranks)
    return progress


def _pair(job: SslJob) -> Pair:
    """Both start from the supervised network (Sec. 2.2)."""
    width = job.config.projection if needs_of(job.config).features else None
    torch.manual_seed(seed_of(stream(job.config.seed, job.fold.number, 0, SSL)))
    student = Student(job.network, width).to(job.device)
    teacher = make_teacher(student)
    assert isinstance(teacher, Student)
    networks = teacher.network, student.network
    reported, other = networks if job.config.network == "teacher" else networks[::-1]
    return Pair(student, spread(student, job.ranks), teacher, reported, other)


def _fresh(student: Student) -> frozenset[str]:
    """What the supervised run did not train."""
    names = (name for name, _ in student.named_parameters())
    return frozenset(name for name in names if name.startswith("projection."))


def _pools(job: SslJob) -> Pools:
    places, labels = labelled_pool(job.cohort, job.fold, job.unlabelled)
    return Pools(
        job.cohort, places, labels, job.unlabelled.index, job.config, job.fold.number,
        needs_of(job.config), job.device, job.ranks,
    )  # fmt: skip


@torch.no_grad()
def _bank(job: SslJob, teacher: Student, places: np.ndarray) -> Tensor:
    """The teacher's features of the labelled nodes, without augmentation (SimMatch)."""
    parts = []
    for part in np.array_split(places, max(1, len(places) // job.config.batch)):
        features = speak(teacher, *batch_of(job.cohort, part, job.device), job.autocast)[1]
        assert features is not None
        parts.append(features)
    return torch.cat(parts)


def _sharpen(
    job: SslJob, teacher: Student, pools: Pools, progress: Progress
) -> tuple[Chosen | None, dict[str, int]]:
    """Score all unlabelled nodes, label those on which station and teacher agree, choose K."""
    config, known = job.config, job.unlabelled
    if not pools.needs.sharpen:
        return None, {}
    score = refresh(job, teacher)
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
    chosen = Chosen(np.where(selected, given.label, 0).astype(np.float32), selected)
    return chosen, pool | {"selected": int(selected.sum())}


def refresh(job: SslJob, teacher: Student) -> np.ndarray:
    """The teacher's probabilities of all unlabelled nodes, float32, in evaluation mode.

    Each process scores its part; all have the whole, and so choose the same nodes.
    """
    places, world = job.unlabelled.index, job.ranks.world
    even = np.resize(places, -(-len(places) // world) * world)
    mine = even[job.ranks.share(len(even))]
    logits = logits_of(teacher.network, job.cohort, mine, job.device, job.autocast)[:, 0]
    whole = gathered(torch.from_numpy(logits).to(job.device), job.ranks)
    return torch.sigmoid(whole).cpu().numpy()[: len(places)]


def _epoch(
    job: SslJob,
    pair: Pair,
    pools: Pools,
    method: Method,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    chosen: Chosen | None,
) -> dict[str, float]:
    """One pass over the unlabelled nodes; the mean of every term of eq. 3."""
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
        said = _said(job, pair, pools, batch)
        supervised = sup_loss(said.labelled, batch.target)
        unsupervised = method.loss(said, batch.slots)
        sharpened = _sharpened(job, said, batch, chosen)
        loss = supervised + unsupervised + config.omega * sharpened  # eq. 3
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        update_teacher(
            pair.teacher, pair.student, alpha_at(now, config.alpha, warmup=config.ema_warmup)
        )  # eq. 2
        method.after_step(said, batch.slots)
        totals += torch.stack([supervised, unsupervised, sharpened]).detach()
        if step % CHECK_EVERY == 0 or step == steps - 1:
            check_loss(float(totals.sum()), config.learning_rate)
            note = _note(progress, float(totals[0]) / (step + 1))
        job.watch(now + 1, config.epochs * steps, note)
    means = (totals / steps).tolist()
    named = dict(zip(("supervised", "unsupervised", "sharpened"), means, strict=True))
    return {"loss": means[0] + means[1] + config.omega * means[2]} | named


def _said(job: SslJob, pair: Pair, pools: Pools, batch: Batch) -> Said:
    """One student forward over all slots, so that BatchNorm sees them as one batch."""
    needs = pools.needs
    views = [batch.labelled]
    if batch.unlabelled is not None:
        views.append(batch.unlabelled)
    if needs.second and batch.second is not None:
        views.append(batch.second)
    sizes = [len(view.hu) for view in views]
    logits, features = speak(pair.stepped, *_joined(views), job.autocast)
    parts = _cut(logits, sizes)
    nobody = _cut(logits, [0, sum(sizes)])[0]
    said = Said(
        parts[0],
        parts[1] if len(parts) > 1 else nobody,
        parts[2].fused if len(parts) > 2 else None,
        None if features is None else features[sizes[0] :],
    )
    return _taught(job, pair.teacher, said, batch) if needs.teacher else said


@torch.no_grad()
def _taught(job: SslJob, teacher: Student, said: Said, batch: Batch) -> Said:
    """The teacher's answers on its own view; for SimMatch its features of the labelled too."""
    assert batch.second is not None
    if teacher.projection is None:
        logits, _ = speak(teacher, batch.second.hu, batch.second.mask, job.autocast)
        return Said(said.labelled, said.unlabelled, teacher=logits.fused)
    views = [batch.labelled, batch.second]
    logits, features = speak(teacher, *_joined(views), job.autocast)
    assert features is not None
    known = len(batch.labelled.hu)
    return Said(
        said.labelled, said.unlabelled, None, said.features,
        logits.fused[known:], features[known:], features[:known],
    )  # fmt: skip


def _joined(views: list[View]) -> tuple[Tensor, Tensor | None]:
    masks = [view.mask for view in views if view.mask is not None]
    return torch.cat([view.hu for view in views]), torch.cat(masks) if masks else None


def _cut(logits: Logits, sizes: list[int]) -> list[Logits]:
    """The logits of each view."""
    fused, local, context = (
        [None] * len(sizes) if head is None else head.split(sizes) for head in logits
    )
    return [
        Logits(one, near, whole)  # pyright: ignore[reportArgumentType] (fused is never None)
        for one, near, whole in zip(fused, local, context, strict=True)
    ]


def _sharpened(job: SslJob, said: Said, batch: Batch, chosen: Chosen | None) -> Tensor:
    """Third term of eq. 3, over the selected nodes of the batch; 0 without any."""
    if chosen is None:
        return torch.zeros((), device=job.device)
    slots, world = batch.slots, job.ranks.world
    label = torch.from_numpy(chosen.label[slots.mine]).to(job.device)
    selected = torch.from_numpy(chosen.selected[slots.mine]).to(job.device).float()
    # Gradients are averaged over processes, of which each has its own number of selected.
    count = float(chosen.selected[slots.unlabelled].sum()) / world
    return sharpening_loss(said.unlabelled, label, selected, count)


def _note(progress: Progress, loss: float) -> str:
    auroc = f", validation AUROC {progress.validations[-1]:.3f}" if progress.validations else ""
    thin = ", hardly a malignant pseudo-label" if progress.thin >= THIN_EPOCHS else ""
    return f"epoch {progress.epoch + 1}, loss {loss:.3f}{auroc}{thin}"


def _validate(job: SslJob, pair: Pair, progress: Progress) -> float:
    """Validation AUROC of the reported network; keeps both where its median is best."""
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


def both(pair: Pair) -> dict[str, Tensor]:
    """The reported network where every reader of checkpoints looks, and the other beside it."""
    other = {OTHER + name: value for name, value in pair.other.state_dict().items()}
    return checkpoint.weights_of(pair.reported) | other


def _keep(
    job: SslJob,
    pair: Pair,
    optimizer: torch.optim.Optimizer,
    method: Method,
    progress: Progress,
    line: dict[str, Any],
) -> None:
    """The log first: a line that no checkpoint follows is cut when the run goes on."""
    run_directory.append_log(job.place / LOG, line)
    job.track(line)
    tensors = both(pair) | checkpoint.optimizer_of(pair.student, optimizer)
    for prefix, student in ((STUDENT, pair.student), (TEACHER, pair.teacher)):
        if student.projection is not None:
            mine = student.projection.state_dict()
            tensors |= {prefix + name: value for name, value in mine.items()}
    tensors |= {STATE + name: value for name, value in method.tensors().items()}
    checkpoint.save(job.place / LAST, tensors, vars(progress))


def _resume(job: SslJob, pair: Pair, optimizer: torch.optim.Optimizer, method: Method) -> Progress:
    if not (job.place / LAST).exists():
        return Progress()
    tensors, facts = checkpoint.load(job.place / LAST)
    checkpoint.restore(tensors, pair.reported)
    pair.other.load_state_dict(checkpoint.under(tensors, OTHER))
    for prefix, student in ((STUDENT, pair.student), (TEACHER, pair.teacher)):
        if student.projection is not None:
            student.projection.load_state_dict(checkpoint.under(tensors, prefix))
    checkpoint.restore_optimizer(tensors, pair.student, optimizer)
    method.restore(checkpoint.under(tensors, STATE))
    progress = Progress(**facts)
    run_directory.cut_log(job.place / LOG, progress.epoch)
    return progress
