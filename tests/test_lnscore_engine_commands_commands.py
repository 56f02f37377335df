"""`lnscore engine`: what is printed, and with which exit code."""

import json
from pathlib import Path

import numpy as np
import pytest

from command_line import printed
from demo_bundle import DEMO, copy_demo, edit_manifest, edit_model
from engines import bundle as bundles
from engines.errors import EngineError
from fake_cohort import settings_in
from lnscore.engine_commands import commands as engine_commands
from lnscore.engine_commands import importing
from lnscore.scoring import default_engine, engine_choice
from lnscore.scoring.default_engine import DefaultEngine
from lnscore.settings import Settings

CAUTION = bundles.read_manifest(DEMO).caution


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return edit_manifest(copy_demo(tmp_path / "source"), name="mine", trained=True, cohort=None)


def broken(path: Path) -> Path:
    def shift(model) -> None:
        for tensor in model.graph.initializer:
            if tensor.name.endswith("fused_head.1.bias"):
                tensor.raw_data = (np.frombuffer(tensor.raw_data, np.float32) + 1).tobytes()

    return edit_model(path, shift)


def test_list_names_every_engine_and_its_state(settings, mine, capsys) -> None:
    printed(engine_commands.import_bundle(settings, mine, None))
    capsys.readouterr()
    printed(engine_commands.list_all(settings))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    manifest = bundles.read_manifest(DEMO)
    made = manifest.created.date().isoformat()
    state = CAUTION.partition(":")[0].split() or ["trained"]
    assert ["demo", *state, made, "shipped"] in rows
    assert ["mine", "trained", made, "imported"] in rows


def test_list_as_json_is_one_document(settings, capsys) -> None:
    printed(engine_commands.list_all(settings), as_json=True)
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["caution"], row["problem"]) == ("demo", CAUTION, None)


def test_show_says_untrained_and_research_only(settings, tmp_path, capsys) -> None:
    source = copy_demo(tmp_path / "raw")
    edit_manifest(source, trained=False, cohort=None, calibration=None)
    printed(engine_commands.show(settings, str(source)))
    out = capsys.readouterr().out
    assert "untrained" in out
    assert "none: probabilities are raw" in out
    assert "For research only. Not a medical device" in out


def test_show_gives_calibration_operating_points_and_intervals(settings, tmp_path, capsys):
    path = edit_manifest(
        copy_demo(tmp_path / "full"),
        name="full",
        calibration={"temperature": 1.5, "bias": -0.25},
        operating_points=[
            {"name": "R75", "threshold": 0.31, "sensitivity": 0.75, "specificity": 0.9}
        ],
        metrics={"auroc": {"value": 0.93, "low": 0.9, "high": 0.95}, "brier": {"value": 0.1}},
    )
    printed(engine_commands.show(settings, str(path)))
    out = " ".join(capsys.readouterr().out.split())
    assert "temperature 1.5, bias -0.25" in out
    assert "R75: at least 0.31 (sensitivity 0.750, specificity 0.900)" in out
    assert "auroc 0.9300 (0.9000 to 0.9500); brier 0.1000" in out


def test_show_as_json_is_the_manifest(settings, capsys) -> None:
    printed(engine_commands.show(settings, "demo"), as_json=True)
    assert json.loads(capsys.readouterr().out)["weights_sha256"]


def test_verify_of_a_sound_engine_exits_0(settings, capsys) -> None:
    assert printed(engine_commands.verify(settings, "demo", "onnx")) == 0
    out = capsys.readouterr().out
    assert out.count("passed") == 2
    assert "e-0" in out


def test_verify_of_an_engine_off_its_golden_outputs_exits_4(settings, mine, capsys) -> None:
    printed(engine_commands.import_bundle(settings, mine, None))
    broken(settings.engine_home / "mine")
    capsys.readouterr()
    assert printed(engine_commands.verify(settings, "mine", "onnx"), as_json=True) == 4
    rows = {row["precision"]: row for row in json.loads(capsys.readouterr().out)["golden"]}
    assert (rows["fp32"]["outcome"], rows["fp16"]["outcome"]) == ("failed", "passed")
    assert rows["fp32"]["reason"].startswith("E09: ")


def test_verify_where_no_back_end_can_run_exits_4(settings, monkeypatch) -> None:
    absent = [
        engine_choice.GoldenCheck(
            backend="onnx", precision="fp32", outcome="absent", reason="not installed", figures=None
        )
    ]
    monkeypatch.setattr(engine_choice, "verify", lambda *_: absent)
    assert printed(engine_commands.verify(settings, "demo", "auto")) == 4


def test_verify_refuses_an_unknown_back_end(settings) -> None:
    with pytest.raises(EngineError, match=r"^E14: back end 'abacus'; wanted one of auto, .*onnx"):
        engine_commands.verify(settings, "demo", "abacus")


def test_import_says_where_it_is_and_what_comes_next(settings, mine, capsys) -> None:
    printed(engine_commands.import_bundle(settings, mine, None))
    printed(engine_commands.import_bundle(settings, mine, None))
    there = settings.engine_home / "mine"
    assert capsys.readouterr().out.splitlines() == [
        f"engine mine imported to {there}",
        "Score with it: lnscore score --pending --engine mine",
        f"engine mine is there already: {there}",
    ]


@pytest.mark.parametrize(
    ("trained", "chosen", "why"),
    [
        (
            [],
            "demo",
            f"no trained engine is here; the shipped one is {CAUTION}",
        ),
        (["a"], "a", "the only trained engine here"),
    ],
)
def test_without_a_name_the_only_trained_engine_is_chosen(
    settings, tmp_path, trained: list[str], chosen: str, why: str
) -> None:
    for name in trained:
        source = edit_manifest(copy_demo(tmp_path / name), name=name, trained=True, cohort=None)
        importing.import_bundle(source, settings.engine_home)
    for wanted in (None, "auto"):
        choice = engine_choice.choose(wanted, settings.engine_home)
        assert (choice.bundle.name, choice.why) == (chosen, why)


def test_of_several_trained_engines_none_is_guessed(settings, tmp_path) -> None:
    for name in ("a", "b"):
        source = edit_manifest(copy_demo(tmp_path / name), name=name, trained=True, cohort=None)
        importing.import_bundle(source, settings.engine_home)
    with pytest.raises(EngineError) as refusal:
        engine_choice.choose(None, settings.engine_home)
    assert str(refusal.value) == (
        "E17: 2 trained engines: a, b; wanted the name of one. Choose one with --engine, or "
        "promote one."
    )
    assert engine_choice.choose("b", settings.engine_home).bundle.name == "b"


def imported(settings: Settings, folder: Path, name: str, **changes) -> None:
    facts = {"name": name, "trained": True, "cohort": None} | changes
    source = edit_manifest(copy_demo(folder / name), **facts)
    importing.import_bundle(source, settings.engine_home)


def test_an_engine_of_patients_goes_before_one_of_phantoms(settings, tmp_path) -> None:
    imported(settings, tmp_path, "phantoms", cohort={"phantom": True})
    choice = engine_choice.choose(None, settings.engine_home)
    assert choice.why == (
        "the only trained engine here, which is trained on phantoms: its scores mean nothing "
        "for patients"
    )
    imported(settings, tmp_path, "patients")
    assert engine_choice.choose(None, settings.engine_home).bundle.name == "patients"


def test_a_shipped_engine_that_is_trained_never_goes_before_an_imported_one(
    settings, tmp_path, monkeypatch
) -> None:
    shipped = tmp_path / "shipped"
    edit_manifest(copy_demo(shipped / "demo"), trained=True, cohort={"phantom": True})
    monkeypatch.setattr(engine_choice, "SHIPPED", shipped)
    alone = engine_choice.choose(None, settings.engine_home)
    assert alone.why == (
        "no trained engine is here; the shipped one is trained on phantoms: its scores mean "
        "nothing for patients"
    )
    imported(settings, tmp_path, "mine")
    assert engine_choice.choose(None, settings.engine_home).bundle.name == "mine"


def test_the_promoted_default_goes_before_all_and_is_marked(settings, tmp_path, capsys) -> None:
    for name in ("a", "b"):
        imported(settings, tmp_path, name)
    weights = engine_choice.show("b", settings.engine_home).manifest.weights_sha256
    default_engine.write(settings.engine_home, DefaultEngine("b", weights))
    choice = engine_choice.choose(None, settings.engine_home)
    assert (choice.bundle.name, choice.why) == ("b", "the promoted default")
    printed(engine_commands.list_all(settings))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    made = bundles.read_manifest(DEMO).created.date().isoformat()
    assert ["b", "trained", made, "imported,", "default"] in [row[:5] for row in rows]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"name": "gone", "weights_sha256": "ab"}', "E19: no engine 'gone', which is the default"),
        ('{"name": "a", "weights_sha256": "ab"}', "E19: engine 'a' with weights "),
        ('{"name": "a"', "E19: .*default.json cannot be read"),
        ("[1]", "E19: .*default.json cannot be read"),
        (
            '{"name": "a", "weights_sha256": 12}',
            r"E19: .*default.json cannot be read \(weights_sha256: Input should be a valid string",
        ),
        ('{"name": "a"}', r"E19: .*default.json cannot be read \(weights_sha256: Field required"),
    ],
)
def test_a_default_that_cannot_be_used_is_refused_not_replaced(
    settings, tmp_path, text: str, found: str
) -> None:
    imported(settings, tmp_path, "a")
    (settings.engine_home / "default.json").write_text(text)
    with pytest.raises(EngineError, match=f"^{found}"):
        engine_choice.choose(None, settings.engine_home)
    assert engine_choice.choose("a", settings.engine_home).bundle.name == "a"
    assert [row.default for row in engine_choice.list_engines(settings.engine_home)] == [False] * 2


def test_list_and_show_name_training_on_phantoms(settings, tmp_path, capsys) -> None:
    imported(settings, tmp_path, "phantoms", cohort={"phantom": True})
    printed(engine_commands.list_all(settings))
    printed(engine_commands.show(settings, "phantoms"))
    out = " ".join(capsys.readouterr().out.split())
    assert "phantoms trained on phantoms" in out
    assert "state trained on phantoms: its scores mean nothing for patients" in out


def test_show_of_many_metrics_shows_the_aurocs(settings, tmp_path, capsys) -> None:
    names = ["test_auroc", "test_brier", "test_s_at_r75", "a", "b", "c", "d"]
    imported(settings, tmp_path, "many", metrics={name: {"value": 0.5} for name in names})
    printed(engine_commands.show(settings, "many"))
    out = " ".join(capsys.readouterr().out.split())
    assert "test_auroc 0.5000; 6 more with --json" in out
