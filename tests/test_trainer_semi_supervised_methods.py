"""The comparators against hand-worked cases (model.md oracles 11 to 13) and their limits."""

# ruff: noqa: TID253

import numpy as np
import pytest
import torch

from fake_training import quick_ssl
from trainer.bundle.run_commands import commands
from trainer.networks.two_stream import Logits
from trainer.semi_supervised.config import DEFAULT, PAPER, SCRATCH, SslConfig, with_values
from trainer.semi_supervised.methods.choose import choose, needs_of
from trainer.semi_supervised.methods.method import Method, Slots, StepOutputs
from trainer.semi_supervised.methods.simmatch import SimMatch, align, sharpened_similarity, smooth
from trainer.semi_supervised.methods.temporal_ensembling import TemporalEnsembling
from trainer.steps.distributed import Ranks

METHODS = ["pgls", "mean-teacher", "pi", "temporal-ensembling", "simmatch", "supervised"]
CLASSES = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
Q = torch.tensor([[0.5, 0.3, 0.2]])
P = torch.tensor([[0.7, 0.3]])


def logits(*p: float) -> Logits:
    return Logits(torch.logit(torch.tensor(p)), None, None)


def slots(epoch: int, rows: list[int]) -> Slots:
    place = np.array(rows)
    return Slots(epoch, np.array([0]), place, place)


@pytest.mark.parametrize("name", METHODS)
def test_every_name_is_a_method(name: str) -> None:
    config = quick_ssl(method=name)
    bank = torch.nn.functional.normalize(torch.randn(3, 8), dim=1)
    method = choose(config, 5, bank, torch.tensor([0, 0, 1]), Ranks())
    assert isinstance(method, Method)
    assert method.needs == needs_of(config)


def test_w_max_is_the_sources_own() -> None:
    told = {name: with_values(PAPER, method=name).weight for name in METHODS}
    assert told == {
        "pgls": 10.0, "mean-teacher": 10.0, "pi": 100.0, "temporal-ensembling": 30.0,
        "simmatch": 0.0, "supervised": 0.0,
    }  # fmt: skip
    assert with_values(PAPER, method="mean-teacher", consistency="mse").weight == 100.0
    assert with_values(PAPER, w_max=3.0).weight == 3.0


def test_the_papers_values() -> None:
    assert (PAPER.alpha, PAPER.beta, PAPER.gamma, PAPER.omega) == (0.999, 0.7, 0.3, 0.6)
    assert (PAPER.labelled_batch, PAPER.unlabelled_batch, PAPER.batch) == (16, 112, 128)
    assert (PAPER.learning_rate, PAPER.epochs, PAPER.ramp * PAPER.epochs) == (1.28e-4, 300, 80)
    assert (PAPER.benign_rule, PAPER.malignant_rule, PAPER.select) == ("gamma", "beta", "uniform")


@pytest.mark.parametrize("config", [DEFAULT, SCRATCH])
def test_other_profiles_take_all_that_pathology_says(config: SslConfig) -> None:
    assert (config.benign_rule, config.malignant_rule, config.select) == (
        "all", "top1", "stratified",
    )  # fmt: skip


def test_only_the_null_may_see_the_truth() -> None:
    with pytest.raises(ValueError, match="truth_reader is for method supervised"):
        with_values(PAPER, truth_reader="phantom-truth")
    assert with_values(PAPER, method="supervised", truth_reader="a").truth_reader == "a"


def test_temporal_ensembling_corrects_for_its_start() -> None:
    method = TemporalEnsembling(quick_ssl(ensemble=0.6), 2, torch.device("cpu"), Ranks())
    targets = []
    for epoch, answer in enumerate((0.2, 0.8)):
        outputs = StepOutputs(labelled=logits(0.5), unlabelled=logits(answer))
        method.after_step(outputs, slots(epoch, [1]))
        method.after_epoch()
        targets.append(method.targets()[1].item())
    assert targets == pytest.approx([0.2, 0.575])
    assert method.ensemble[1].item() == pytest.approx(0.368)
    assert method.seen.tolist() == [0.0, 2.0]  # node 0 was left over in both epochs


def test_temporal_ensembling_has_no_term_in_the_first_epoch_nor_for_unseen_nodes() -> None:
    config = quick_ssl(method="temporal-ensembling", w_max=30.0, ramp=0.0)
    method = TemporalEnsembling(config, 2, torch.device("cpu"), Ranks())
    outputs = StepOutputs(labelled=logits(0.5), unlabelled=logits(0.9, 0.9))
    assert method.loss(outputs, slots(0, [0, 1])).item() == 0.0
    method.after_step(StepOutputs(labelled=logits(0.5), unlabelled=logits(0.4)), slots(0, [0]))
    method.after_epoch()
    wanted = 30 * (0.9 - 0.4) ** 2 / 2  # node 1 has no target yet, and counts in the mean
    assert method.loss(outputs, slots(1, [0, 1])).item() == pytest.approx(wanted, rel=1e-5)


def test_temporal_ensembling_goes_on_from_its_tensors() -> None:
    config = quick_ssl()
    one = TemporalEnsembling(config, 2, torch.device("cpu"), Ranks())
    one.after_step(StepOutputs(labelled=logits(0.5), unlabelled=logits(0.3)), slots(0, [1]))
    one.after_epoch()
    other = TemporalEnsembling(config, 2, torch.device("cpu"), Ranks())
    other.restore(one.tensors())
    assert torch.equal(one.targets(), other.targets())


def test_pi_compares_two_views_and_both_have_a_gradient() -> None:
    config = quick_ssl(method="pi", w_max=100.0, ramp=0.0)
    method = choose(config, 1, None, torch.tensor([0, 1]), Ranks())
    first, second = (torch.logit(torch.tensor([p])).requires_grad_() for p in (0.2, 0.7))
    outputs = StepOutputs(labelled=logits(0.5), unlabelled=Logits(first, None, None), second=second)
    assert method.loss(outputs, slots(0, [0])).item() == 0.0
    loss = method.loss(outputs, slots(1, [0]))
    assert loss.item() == pytest.approx(25.0, rel=1e-5)
    loss.backward()
    assert first.grad is not None
    assert second.grad is not None


@pytest.mark.parametrize(("kind", "wanted"), [("kl", 0.226289), ("mse", 0.09)])
def test_mean_teacher_compares_fused_heads(kind: str, wanted: float) -> None:
    config = quick_ssl(method="mean-teacher", consistency=kind, w_max=2.0, ramp=0.0)
    method = choose(config, 1, None, torch.tensor([0, 1]), Ranks())
    outputs = StepOutputs(labelled=logits(0.5), unlabelled=logits(0.6), teacher=logits(0.9).fused)
    assert method.loss(outputs, slots(0, [0])).item() == pytest.approx(2 * wanted, abs=1e-5)


def test_simmatch_smooths_with_the_banks_classes() -> None:
    assert torch.allclose(smooth(P, Q, CLASSES, 0.9), torch.tensor([[0.71, 0.29]]))


def test_simmatch_sharpens_similarities_with_the_answer() -> None:
    wanted = torch.tensor([[0.564516, 0.338710, 0.096774]])
    assert torch.allclose(sharpened_similarity(P, Q, CLASSES), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("target", "wanted"), [((0.948, 0.052), (0.8254, 0.1746)), ((0.5, 0.5), (0.2059, 0.7941))]
)
def test_alignment_to_the_prior_keeps_a_negative_and_to_uniform_turns_it(target, wanted) -> None:
    aligned = align(P, torch.tensor([0.9, 0.1]), torch.tensor(target))
    assert torch.allclose(aligned, torch.tensor([wanted]), atol=1e-4)


def simmatch(**values: object) -> SimMatch:
    config = quick_ssl(method="simmatch", **values)
    bank = torch.eye(3)
    return SimMatch(config, bank, torch.tensor([0, 0, 1]), Ranks())


def answered(p: float, student: float, features: torch.Tensor) -> StepOutputs:
    return StepOutputs(
        labelled=logits(0.5),
        unlabelled=logits(student),
        second=None,
        features=features,
        teacher=logits(p).fused,
        teacher_features=features,
        teacher_labelled=torch.eye(3)[:1],
    )


def test_simmatch_takes_the_labelled_prior_or_equal_classes() -> None:
    assert simmatch(alignment="prior").target.tolist() == pytest.approx([2 / 3, 1 / 3])
    assert simmatch(alignment="uniform").target.tolist() == [0.5, 0.5]


def test_simmatch_ignores_answers_below_tau_and_similarity_in_the_first_epoch() -> None:
    one = torch.eye(3)[:1]
    method = simmatch(tau=0.95, lambda_in=1.0, queue=1, alignment="uniform")
    # Aligned with its own batch of one, any answer becomes the target: 0.5, which is not sure.
    assert method.loss(answered(0.9, 0.3, one), slots(0, [0])).item() == 0.0
    assert method.loss(answered(0.9, 0.3, one), slots(1, [0])).item() > 0.0


def test_simmatchs_sure_answers_teach_by_cross_entropy() -> None:
    method = simmatch(tau=0.6, lambda_in=0.0, queue=1)
    loss = method.loss(answered(0.9, 0.3, torch.eye(3)[:1]), slots(0, [0])).item()
    prior = 2 / 3  # what the one answer of a queue of one is aligned to
    wanted = -(prior * np.log(0.7) + (1 - prior) * np.log(0.3))
    assert loss == pytest.approx(wanted, rel=1e-5)


def test_simmatchs_queue_forgets_what_is_older() -> None:
    method = simmatch(queue=2)
    for p in (0.9, 0.2, 0.4):
        method.loss(answered(p, 0.5, torch.eye(3)[:1]), slots(0, [0]))
    assert sorted(method.queue[:, 1].tolist()) == pytest.approx([0.2, 0.4])


def test_simmatchs_bank_takes_the_teachers_features_by_place() -> None:
    method = simmatch()
    fresh = torch.nn.functional.normalize(torch.ones(2, 3), dim=1)
    outputs = StepOutputs(labelled=logits(0.5), unlabelled=logits(0.5), teacher_labelled=fresh)
    method.after_step(outputs, Slots(0, np.array([2, 0]), np.array([0]), np.array([0])))
    assert torch.equal(method.bank[0], fresh[0])
    assert torch.equal(method.bank[2], fresh[1])
    assert torch.equal(method.bank[1], torch.eye(3)[1])


def test_an_unknown_value_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="betta"):
        SslConfig(betta=0.7)  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValueError, match="wanted gamma <= beta"):
        SslConfig(beta=0.2)


def test_the_command_that_makes_a_run_again_has_what_differs_from_its_profile() -> None:
    values = with_values(SCRATCH, method="simmatch", beta=0.8, truth_reader=None, epochs=3)
    facts = {"stage": "ssl", "method": "simmatch", "from": "first", "profile": "scratch"}
    assert commands(facts | {"values": values.model_dump(mode="json")}, "second") == [
        "lnscore train --stage ssl --method simmatch --from first --profile scratch "
        "--name second --set epochs=3 --set beta=0.8"
    ]
