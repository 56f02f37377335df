"""An engine becomes the default only where its figures hold on this machine and database."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from db import audit
from db.schema import AuditLog, Label
from db.session import open_database
from engines import load, parity
from engines.errors import EngineError
from fake_promotion import engine, planted_cohort
from lnscore.engine_commands import held_out_nodes, promotion
from lnscore.scoring import default_engine
from lnscore.settings import Settings
from trainer.evaluation.held_out import HeldOut


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, HeldOut]:
    return planted_cohort(tmp_path_factory.mktemp("hospital"))


@pytest.fixture
def settings(planted, tmp_path: Path) -> Settings:
    return planted[0].model_copy(update={"engines": tmp_path / "engines"})


@pytest.fixture
def held(planted) -> HeldOut:
    return planted[1]


def promotions(settings: Settings) -> list[AuditLog]:
    with open_database(settings.db) as database, database.read() as session:
        audit.verify(session)
        return list(session.scalars(select(AuditLog).where(AuditLog.action == "promote")))


def state(settings: Settings, name: str, changed: dict[str, Any]) -> None:
    """Have an imported engine's manifest say something else of its held-out nodes."""
    path = settings.engine_home / name / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["cohort"]["held_out"] |= changed
    path.write_text(json.dumps(manifest))


def refused(settings: Settings, name: str) -> EngineError:
    before = default_engine.read(settings.engine_home), len(promotions(settings))
    with pytest.raises(EngineError) as caught:
        promotion.promote(settings, name)
    assert (default_engine.read(settings.engine_home), len(promotions(settings))) == before
    return caught.value


def test_an_engine_whose_figures_hold_becomes_the_default(settings, held, tmp_path) -> None:
    engine(settings, tmp_path, "good", held, 1.0)
    done = promotion.promote(settings, "good")
    assert done.lines() == [
        f"engine good: AUROC 1.0000 on 20 held-out nodes ({held.positives} malignant), stated "
        "1.0000",
        "engine good is now the default",
    ]
    stored = json.loads((settings.engine_home / "default.json").read_text())
    row = promotions(settings)[-1]
    assert stored["name"] == "good"
    assert (row.object, (row.details or {})["weights"]) == ("engine good", stored["weights_sha256"])


def test_an_auroc_other_than_stated_is_refused_with_both(settings, held, tmp_path) -> None:
    engine(settings, tmp_path, "proud", held, 0.9985)
    assert str(refused(settings, "proud")) == (
        "E21: engine 'proud': AUROC 1.0000 on 20 held-out nodes; wanted the stated 0.9985 within "
        "0.001. It can be used with --engine; the default stays as it is."
    )


@pytest.mark.parametrize(("worse", "allowed"), [(True, False), (False, True)])
def test_the_default_is_replaced_unless_it_is_significantly_better(
    settings, held, tmp_path, monkeypatch, worse: bool, allowed: bool
) -> None:
    engine(settings, tmp_path, "old", held, 1.0)
    promotion.promote(settings, "old")
    score = held_out_nodes.scored

    def scored(loaded, nodes, settings):
        found = score(loaded, nodes, settings)
        if loaded.bundle.name == "new" and worse:
            return 1 - found
        return found

    monkeypatch.setattr(held_out_nodes, "scored", scored)
    nodes = held_out_nodes.find(open_database(settings.db), held)
    fused = scored(load.load(renamed(tmp_path)), nodes, settings)
    engine(settings, tmp_path, "new", held, held_out_nodes.auroc(nodes.label, fused))
    if allowed:
        done = promotion.promote(settings, "new")
        assert (done.default, done.difference.value) == ("old", 0.0)
        assert "compared with the default old: difference +0.0000" in done.lines()[1]
    else:
        error = refused(settings, "new")
        assert error.code == "E21"
        assert "and 1.0000 by the default 'old' (difference -1.0000" in error.found
        assert error.wanted == "no significantly lower AUROC (p at least 0.05)"


def renamed(tmp_path):
    from demo_bundle import copy_demo, edit_manifest
    from engines import bundle as bundles

    return bundles.read(edit_manifest(copy_demo(tmp_path / "x"), name="new"))


def test_held_out_nodes_that_are_not_here_are_refused(settings, held, tmp_path) -> None:
    engine(settings, tmp_path, "elsewhere", replace(held, split="another"), 1.0)
    error = refused(settings, "elsewhere")
    assert error.code == "E20"
    assert error.found.startswith("0 labelled nodes (0 malignant) in the test part of fold 0")


def test_a_label_that_changed_since_is_refused(settings, held, tmp_path) -> None:
    engine(settings, tmp_path, "good", held, 1.0)
    with open_database(settings.db) as database:
        with database.begin() as session:
            label = session.scalars(select(Label).order_by(Label.id).limit(1)).one()
            label.value = 1 - label.value
        error = refused(settings, "good")
        with database.begin() as session:
            label = session.scalars(select(Label).order_by(Label.id).limit(1)).one()
            label.value = 1 - label.value
    assert (error.code, "20 labelled nodes" in error.found) == ("E20", True)


def test_an_engine_that_states_no_held_out_nodes_is_refused(settings, tmp_path) -> None:
    engine(settings, tmp_path, "bare", None, 1.0)
    assert (
        refused(settings, "bare").found
        == "engine 'bare' does not name the nodes that it was tested on"
    )


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"fold": "0"}, "Input should be a valid integer"),
        ({"fold": -1}, "Input should be greater than or equal to 0"),
        ({"split": None}, "Input should be a valid string"),
    ],
)
def test_held_out_nodes_of_a_wrong_type_are_refused_with_the_member(
    settings, held, tmp_path, changed, wanted: str
) -> None:
    engine(settings, tmp_path, "odd", held, 1.0)
    state(settings, "odd", changed)
    error = refused(settings, "odd")
    member = next(iter(changed))
    assert (error.code, error.found) == ("E04", f"manifest.json: cohort.held_out.{member}")
    assert error.wanted == wanted


def test_an_engine_off_its_golden_outputs_is_refused(settings, held, tmp_path, monkeypatch) -> None:
    engine(settings, tmp_path, "good", held, 1.0)
    monkeypatch.setattr(parity, "LIMITS", {"fp32": parity.Limit(-1.0, 0.0, False)})
    assert refused(settings, "good").code == "E09"


def test_a_default_that_is_gone_does_not_stand_in_the_way(settings, held, tmp_path) -> None:
    engine(settings, tmp_path, "good", held, 1.0)
    (settings.engine_home / "default.json").write_text('{"name": "gone", "weights_sha256": "0"}')
    done = promotion.promote(settings, "good")
    assert done.default is None
    assert done.notes[0].startswith("not compared with the old default: E19: no engine 'gone'")


@pytest.mark.parametrize("fold", [1, "none"])
def test_a_default_tested_on_other_nodes_is_said_to_be_favoured(
    settings, held, tmp_path, fold
) -> None:
    engine(settings, tmp_path, "old", held, 1.0)
    promotion.promote(settings, "old")
    state(settings, "old", {"fold": fold})
    engine(settings, tmp_path, "new", held, 1.0)
    done = promotion.promote(settings, "new")
    assert "old may have been trained on some of these nodes, which favours it" in done.lines()
