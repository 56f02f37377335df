"""`lnscore train`: what it refuses, in which words, and that a stopped run goes on."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from db.session import open_database
from fake_phantoms import copy_of, phantoms_of_the_command
from lnscore.cli import app as cli

Run = Callable[..., tuple[int, str]]

TINY = ("--network", "2.5d", "--set", "variant=small", "--set", "group_stride=3", "--set",
        "fpn_channels=8", "--set", "backbone_width=0.25", "--set", "input_upsample=0.5",
        "--profile", "scratch", "--epochs", "1", "--batch", "8")  # fmt: skip


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = phantoms_of_the_command(tmp_path_factory)
    return str(copy_of(made, tmp_path_factory.mktemp("cohort") / "copy"))


@pytest.fixture
def train(
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run the command in this process: exit code, what it said."""
    monkeypatch.setenv("LNSCORE_ENGINES", str(tmp_path / "engines"))
    import torch

    torch.set_num_threads(1)

    def run(*words: str) -> tuple[int, str]:
        command = ["lnscore", "train", "--db", database, "--out", str(tmp_path / "runs"), *words]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        out, err = capsys.readouterr()
        assert isinstance(leaving.value.code, int)
        return leaving.value.code, " ".join((out + err).split())

    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--stage", "supervise"),
            "U05: --stage supervise; wanted pretrain or supervised or ssl. Choose one.",
        ),
        (
            ("--profile", "fast"),
            "U05: --profile fast; wanted one of paper, default, scratch. Choose one.",
        ),
        (("--precision", "fp8"), "U05: --precision fp8; wanted Input should be 'auto', 'fp32' or"),
        (("--network", "resnet50"), "T41: no network 'resnet50'; wanted one of two-stream,"),
        (("--set", "fpn_channels=7"), "U05: --set fpn_channels=7: "),
        (("--set", "colour=red"), "U05: --set colour=red: "),
        (("--device", "tpu"), "T48: device 'tpu' and no usable GPU; wanted auto, cpu or, with a"),
        (("--reader", "nobody"), "T05: no labels by reader 'nobody' (readers: phantom-truth, radi"),
        (
            ("--pretrained", "body.safetensors", "--fold", "0"),
            "T45: pretrained weights 'body.safetensors' without a SHA-256",
        ),
        (("--fold", "4"), "U05: --fold 4; wanted 0 to 3. Choose one."),
        (("--sha256", "a" * 64), "U05: --sha256 with --pretrained none; wanted --pretrained FILE"),
        (("--stage", "ssl", "--sha256", "a" * 64), "U05: --sha256 with --pretrained none; "),
        (("--labelled-share", "0"), "U05: --labelled-share 0; wanted over 0, up to 1."),
        (("--labelled-share", "25"), "U05: --labelled-share 25; wanted over 0, up to 1."),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_made(
    train: Run, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    code, output = train(*words)
    assert code == 1
    assert said in output
    assert not (tmp_path / "runs").exists()


def test_a_fold_is_trained_and_its_split_is_in_the_database(
    train: Run, tmp_path: Path, database: str
) -> None:
    code, output = train(*TINY, "--name", "a", "--fold", "1", "--no-engine")
    assert code == 0, output
    assert (tmp_path / "runs" / "a" / "fold-1" / "predictions.parquet").exists()
    facts = json.loads((tmp_path / "runs" / "a" / "run.json").read_text())
    assert (facts["stage"], facts["profile"], facts["pretrained"]) == (
        "supervised", "scratch", "none",
    )  # fmt: skip
    with open_database(database) as opened, opened.read() as session:
        from db.schema import Split, SplitMember

        assert session.query(Split).count() == 1
        assert session.query(SplitMember).count() == 4 * 24


def test_a_share_of_the_labels_trains_on_fewer_patients_and_tests_on_the_same(
    train: Run, tmp_path: Path
) -> None:
    assert train(*TINY, "--name", "all", "--fold", "0", "--no-engine")[0] == 0
    few = (*TINY, "--name", "few", "--fold", "0", "--no-engine", "--labelled-share", "0.5")
    assert train(*few)[0] == 0
    splits = [
        json.loads((tmp_path / "runs" / name / "fold-0" / "split.json").read_text())
        for name in ("all", "few")
    ]
    assert splits[0]["test"] == splits[1]["test"]
    assert set(splits[1]["train"]) < set(splits[0]["train"])
    code, output = train(*few[:-1], "0.25", "--resume")
    assert (code, "another labelled_share" in output) == (1, True)


def test_a_run_is_not_begun_twice(train: Run) -> None:
    first = (*TINY, "--name", "a", "--fold", "0", "--no-engine")
    assert train(*first)[0] == 0
    code, output = train(*first)
    assert code == 1
    assert "T10: a run in" in output
    assert "Go on with --resume" in output


def test_a_run_goes_on_only_with_its_own_options(train: Run) -> None:
    first = (*TINY, "--name", "a", "--fold", "0", "--no-engine")
    assert train(*first)[0] == 0
    code, output = train(*first, "--resume", "--seed", "5")
    assert code == 1
    assert "T11: the run in" in output
    assert "was begun with another values" in output


def test_a_run_that_is_being_trained_is_not_trained_twice(train: Run, tmp_path: Path) -> None:
    from trainer.runs import lock as run_lock
    from trainer.steps.distributed import Ranks

    with run_lock.held(tmp_path / "runs" / "a", Ranks()):
        code, output = train(*TINY, "--name", "a", "--resume", "--no-engine")
    assert code == 1
    assert "T14: another training holds" in output
    assert not (tmp_path / "runs" / "a" / "run.json").exists()


def test_ctrl_c_says_how_to_go_on(train: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trainer.supervised.run.train_fold", stop)
    code, output = train(*TINY, "--name", "a", "--no-engine")
    assert code == 1
    assert "T47: run 'a' stopped by the user" in output
    assert output.endswith("--no-engine --resume")
    monkeypatch.undo()


def test_on_a_scoring_box_the_extra_is_named(train: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("trainer.")]:
        monkeypatch.delitem(sys.modules, name)
    code, output = train(*TINY)
    assert code == 1
    assert "T29: not installed: torch; wanted the libraries of the trainer" in output
    assert "pip install 'lnscore[train]'" in output


def test_without_unlabelled_patients_pretraining_says_what_is_missing(train: Run) -> None:
    code, output = train("--stage", "pretrain", *TINY, "--name", "body")
    assert code == 1
    assert "T46: 0 nodes with a mask in patients without labels" in output
