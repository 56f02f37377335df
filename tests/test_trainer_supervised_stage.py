"""The supervised stage learns, and a run that was killed ends as if it had not been."""

# ruff: noqa: TID253

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from fake_training import TINY, make_cohort, quick, without_masks
from trainer.data.cohort import Cohort
from trainer.data.folds import assign
from trainer.errors import TrainerError
from trainer.networks.config import NetworkConfig
from trainer.networks.starting import Start
from trainer.runs import checkpoint, predictions
from trainer.runs.directory import BEST, DONE, LAST, LOG
from trainer.steps.distributed import Ranks
from trainer.supervised.config import SupervisedConfig
from trainer.supervised.run import SupervisedRun, train_folds

pytest_plugins = ["fake_training"]
pytestmark = pytest.mark.usefixtures("without_curves")


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return without_masks(make_cohort())


class Killed(Exception):
    """Stands for SIGKILL: nothing of ours runs after it."""


def run(
    root: Path,
    cohort: Cohort,
    config: SupervisedConfig,
    stop_at: int | None = None,
    network: NetworkConfig = TINY,
) -> Path:
    """Train fold 0; die at a step if asked to."""

    def watch(done: int, total: int, note: str) -> None:
        if done == stop_at:
            raise Killed

    job = SupervisedRun(
        root=root,
        network=network,
        config=config,
        start=Start(),
        device=torch.device("cpu"),
        ranks=Ranks(),
        watch=watch,
    )
    train_folds(job, cohort, assign(cohort, 0)[:1])
    return root / "fold-0"


def weights(file: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(file)[0]


@pytest.fixture(scope="module")
def undisturbed(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return run(tmp_path_factory.mktemp("runs") / "whole", cohort, quick(epochs=3))


def test_a_fold_leaves_all_that_its_folder_promises(undisturbed: Path) -> None:
    names = {path.name for path in undisturbed.iterdir()}
    assert names >= {LAST, BEST, LOG, DONE, "split.json", "environment.json", predictions.LAST_FILE}
    lines = [json.loads(line) for line in (undisturbed / LOG).read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    assert all({"loss", "validation_auroc", "learning_rate"} <= line.keys() for line in lines)


@pytest.mark.parametrize("stop_at", [1, 4, 7])
def test_killed_and_resumed_ends_bit_for_bit_the_same(
    undisturbed: Path, cohort: Cohort, tmp_path: Path, stop_at: int
) -> None:
    config = quick(epochs=3)
    with pytest.raises(Killed):
        run(tmp_path / "killed", cohort, config, stop_at)
    again = run(tmp_path / "killed", cohort, config)
    for file in (LAST, BEST):
        ours, theirs = weights(again / file), weights(undisturbed / file)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_fold_does_not_go_on_with_other_patients(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(tmp_path / "a", cohort, quick(epochs=3), stop_at=4)
    job = SupervisedRun(
        root=tmp_path / "a",
        network=TINY,
        config=quick(epochs=3),
        start=Start(),
        device=torch.device("cpu"),
        ranks=Ranks(),
        watch=lambda *_: None,
    )
    with pytest.raises(TrainerError, match=r"^T53: fold 0 of .* has other patients"):
        train_folds(job, cohort, assign(cohort, 7)[:1])


def test_a_finished_fold_is_not_trained_again(undisturbed: Path, cohort: Cohort) -> None:
    before = (undisturbed / LAST).stat().st_mtime_ns
    run(undisturbed.parent, cohort, quick(epochs=3), stop_at=1)
    assert (undisturbed / LAST).stat().st_mtime_ns == before


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(
    undisturbed: Path, cohort: Cohort, tmp_path: Path
) -> None:
    same = weights(run(tmp_path / "same", cohort, quick(epochs=3)) / LAST)
    other = weights(run(tmp_path / "other", cohort, quick(epochs=3, seed=1)) / LAST)
    first = weights(undisturbed / LAST)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.slow
def test_bright_nodes_are_learnt(cohort: Cohort, tmp_path: Path) -> None:
    # 120 steps: before that the running statistics of BatchNorm still hold what they began with.
    # A network of a quarter of the channels does not reach this, however long it trains.
    whole = TINY.model_copy(update={"backbone_width": 1.0, "input_upsample": 1})
    config = quick(epochs=40, validate_every=10)
    place = run(tmp_path / "a", cohort, config, network=whole)
    lines = [json.loads(line) for line in (place / LOG).read_text().splitlines()]
    assert lines[-1]["loss"] < 0.6 * lines[0]["loss"]
    assert lines[-1]["validation_auroc"] > 0.9


def test_predictions_are_of_validation_and_test_nodes_only(
    undisturbed: Path, cohort: Cohort
) -> None:
    rows = predictions.read(undisturbed / predictions.FILE)
    fold = assign(cohort, 0)[0]
    for part in ("validation", "test"):
        wanted = {cohort.nodes[i].node_id for i in fold.nodes(cohort, part)}
        assert set(rows.of(part).node_id.tolist()) == wanted


def test_test_patients_images_change_no_byte_of_the_checkpoint(
    undisturbed: Path, cohort: Cohort, tmp_path: Path
) -> None:
    changed = without_masks(make_cohort())
    test = assign(cohort, 0)[0].nodes(cohort, "test")
    changed.patches[torch.from_numpy(test)] += 500
    place = run(tmp_path / "changed", changed, quick(epochs=3))
    assert (place / BEST).read_bytes() == (undisturbed / BEST).read_bytes()


def test_a_loss_that_is_no_number_stops_with_what_was_finished(
    cohort: Cohort, tmp_path: Path
) -> None:
    with pytest.raises(TrainerError, match=r"^T12: a loss of (nan|inf)"):
        run(tmp_path / "a", cohort, quick(learning_rate=1e12, optimizer="sgd"))


def test_out_of_memory_says_what_to_do(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr("trainer.supervised.stage.sup_loss", full)
    with pytest.raises(TrainerError) as refusal:
        run(tmp_path / "a", cohort, quick())
    assert str(refusal.value) == (
        "T13: the device ran out of memory at a batch of 8; wanted a batch that fits. Use a "
        "smaller --batch (scale the learning rate with it), a smaller network, or --precision "
        "bf16; the last finished epoch is kept."
    )


def test_a_damaged_checkpoint_is_named(cohort: Cohort, tmp_path: Path) -> None:
    place = tmp_path / "a" / "fold-0"
    place.mkdir(parents=True)
    (place / LAST).write_bytes(b"half")
    with pytest.raises(TrainerError, match=r"^T09: 'last.safetensors' cannot be read"):
        run(tmp_path / "a", cohort, quick())


def test_nothing_in_a_checkpoint_is_pickled(undisturbed: Path) -> None:
    for file in undisturbed.glob("*.safetensors"):
        assert safetensors.torch.load_file(file)
