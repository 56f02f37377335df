"""Rows of the paper's tables, recipes, and the runs that follow from both."""

import json
from pathlib import Path

import pytest

from trainer.errors import TrainerError
from trainer.networks.registry import NETWORKS
from trainer.reproduction import plan, recipe
from trainer.reproduction.recipe import Recipe, Values
from trainer.reproduction.rows import ROWS, SWEEPS, SWEPT, TABLES

SMALL = Recipe(
    profile="scratch",
    seeds=(0, 1),
    network={"variant": "small", "group_stride": 3},
    supervised=Values(epochs=2),
    ssl={"epochs": 1},
)


def option(words: tuple[str, ...], name: str) -> str:
    return words[words.index(name) + 1]


def of(name: str, runs: list[plan.PlannedRun]) -> plan.PlannedRun:
    return next(run for run in runs if run.name == name)


def test_the_papers_tables_and_figure_are_92_runs_of_one_fold() -> None:
    names = {name for table in ("table1", "table2", "fig2") for name in TABLES[table].rows}
    assert sum(recipe.FOLDS for name in names if not ROWS[name].truth) == 92


def test_gamma_adds_16() -> None:
    names = {name for table in ("table1", "table2", "fig2") for name in TABLES[table].rows}
    assert 4 * len(set(TABLES["gamma"].rows) - names) == 16


def test_every_row_of_every_table_and_test_is_known() -> None:
    for table in TABLES.values():
        tested = {name for pair in table.planned for name in (pair.first, pair.second)}
        assert set(table.rows) | tested <= set(ROWS)
        assert tested <= set(table.rows)


def test_every_swept_value_is_the_rows_own_or_the_papers_default() -> None:
    usual = {"beta": 0.7, "omega": 0.6, "gamma": 0.3}
    for name, rows in SWEEPS.items():
        assert [ROWS[row].values.get(name, usual[name]) for row in rows] == list(SWEPT[name])


def test_the_last_row_of_table_1_is_the_papers_best() -> None:
    assert ROWS["pgls"].paper is not None
    assert ROWS["pgls"].paper.auroc == max(
        row.paper.auroc or 0 for row in ROWS.values() if row.paper
    )


def test_a_semi_supervised_row_brings_the_supervised_run_it_starts_from() -> None:
    runs = plan.plan(["pgls"], SMALL)
    assert [run.name for run in runs] == ["two-stream-s0", "pgls-s0", "two-stream-s1", "pgls-s1"]
    assert of("pgls-s1", runs).needs == ("two-stream-s1",)


def test_two_rows_share_the_run_that_both_start_from() -> None:
    runs = plan.plan(["pgls", "two-stream-mt"], SMALL)
    assert [run.name for run in runs].count("two-stream-s0") == 1


def test_each_network_is_pretrained_once_for_all_seeds() -> None:
    runs = plan.plan(
        ["two-stream", "2.5d+ms"], SMALL.model_copy(update={"pretrain": Values(epochs=3)})
    )
    bodies = [run.name for run in runs if run.folds == 0]
    assert bodies == ["body-two-stream", "body-2.5d+ms"]
    assert [run.name for run in runs][:2] == bodies


def test_a_network_gets_only_the_knobs_that_it_has() -> None:
    runs = plan.plan(["resnet18-2.5d", "resnet18-3d"], SMALL)
    assert "group_stride=3" in of("resnet18-2.5d-s0", runs).options
    assert "variant=small" not in of("resnet18-2.5d-s0", runs).options
    assert "--set" not in of("resnet18-3d-s0", runs).options


def test_a_rows_own_value_goes_before_the_recipes() -> None:
    runs = plan.plan(["pgls-beta-0.9"], SMALL.model_copy(update={"ssl": {"beta": 0.75}}))
    words = of("pgls-beta-0.9-s0", runs).options
    assert "beta=0.9" in words
    assert "beta=0.75" not in words


def test_all_labels_is_left_out_where_nobody_knows_the_truth() -> None:
    assert plan.plan(["all-labels"], SMALL) == []
    known = SMALL.model_copy(update={"truth_reader": "somebody"})
    assert "truth_reader=somebody" in of("all-labels-s0", plan.plan(["all-labels"], known)).options


def test_each_network_starts_from_its_own_published_weights() -> None:
    weights = {
        "two-stream": {"source": "torchvision:MobileNet_V3_Large_Weights.IMAGENET1K_V2"},
        "resnet18-2.5d": {"source": "resnet18.safetensors", "sha256": "ab"},
    }
    given = Recipe.model_validate({"pretrained": weights})
    runs = plan.plan(["two-stream", "resnet18-2.5d", "resnet18-3d"], given)
    assert option(of("two-stream-s0", runs).options, "--pretrained").startswith("torchvision:")
    assert option(of("resnet18-2.5d-s0", runs).options, "--sha256") == "ab"
    assert "--pretrained" not in of("resnet18-3d-s0", runs).options


def test_every_table_with_a_method_holds_the_all_labels_row() -> None:
    with_methods = [t for t in TABLES.values() if any(ROWS[name].method for name in t.rows)]
    assert [table.name for table in TABLES.values() if table not in with_methods] == ["networks"]
    assert all(table.rows[-1] == table.all_labels == "all-labels" for table in with_methods)


def test_the_networks_table_holds_every_network_that_trains_supervised() -> None:
    trained = {ROWS[name].network for name in TABLES["networks"].rows}
    same_or_only_larger = {"two-stream-large", "two-stream-small", "2.5d", "mobilevitv2-2.5d-128px"}
    assert trained == set(NETWORKS) - same_or_only_larger


def test_3d_networks_start_from_drawn_weights_where_others_are_pretrained() -> None:
    given = SMALL.model_copy(update={"pretrain": Values(epochs=3)})
    runs = plan.plan(["dualnet-3d", "two-stream"], given)
    assert of("dualnet-3d-s0", runs).needs == ()
    assert [run.name for run in runs if run.folds == 0] == ["body-two-stream"]


def test_the_seed_is_the_runs_and_the_split_the_recipes() -> None:
    words = of("two-stream-s1", plan.plan(["two-stream"], SMALL)).options
    assert (option(words, "--seed"), option(words, "--split-seed")) == ("1", "0")


def test_a_run_is_done_when_the_folds_asked_for_are(tmp_path: Path) -> None:
    run = plan.plan(["two-stream"], SMALL.model_copy(update={"folds": 2}))[0]
    for fold in range(2):
        assert not run.is_done(tmp_path)
        place = run.folder(tmp_path) / f"fold-{fold}"
        place.mkdir(parents=True)
        (place / "done.json").touch()
    assert run.is_done(tmp_path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("profile: best", "profile"),
        ("seeds: []", "seeds"),
        ("colour: red", "colour"),
        ("folds: 5", "folds"),
        ("supervised: {epochs: 0}", "supervised.epochs"),
        ("profile: [", "line 1"),
        ("pretrained: torchvision:x", "pretrained"),
        ("{pretrain: {epochs: 1}, pretrained: {two-stream: {source: x}}}", "one of the two"),
        ("- 1", "recipe"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_by_its_value(
    tmp_path: Path, text: str, found: str
) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    with pytest.raises(TrainerError, match="T60") as refused:
        recipe.read(file)
    assert found in str(refused.value)


def test_an_empty_recipe_is_the_papers_profile(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("")
    assert recipe.read(file) == Recipe()
    assert Recipe().profile == "paper"


@pytest.mark.parametrize(
    "values",
    [
        {"network": {"colour": 1}},
        {"network": {"group_stride": 9}},
        {"ssl": {"beta": 7}},
        {"pretrained": {"resnet": {"source": "none"}}},
    ],
)
def test_values_are_tried_before_the_first_run(values: dict) -> None:
    with pytest.raises(TrainerError, match="T60"):
        plan.check(["pgls"], Recipe.model_validate(values))


def test_a_tables_recipe_fits_each_of_its_rows_alone() -> None:
    plan.check(["two-stream"], Recipe(network={"stem_stride": 2, "group_stride": 3}))


def test_a_folder_takes_more_seeds_and_folds_of_its_recipe(tmp_path: Path) -> None:
    recipe.keep(SMALL, tmp_path)
    recipe.keep(SMALL.model_copy(update={"seeds": (0, 1, 2), "folds": 2}), tmp_path)
    assert recipe.read(tmp_path / recipe.FILE).seeds == (0, 1, 2)


def test_a_folder_remembers_all_its_seeds(tmp_path: Path) -> None:
    recipe.keep(SMALL, tmp_path)
    recipe.keep(SMALL.model_copy(update={"seeds": (5,), "folds": 1}), tmp_path)
    kept = recipe.read(tmp_path / recipe.FILE)
    assert (kept.seeds, kept.folds) == ((0, 1, 5), 4)


def test_a_folder_never_mixes_two_recipes(tmp_path: Path) -> None:
    recipe.keep(SMALL, tmp_path)
    with pytest.raises(TrainerError, match=r"T61.*another ssl"):
        recipe.keep(SMALL.model_copy(update={"ssl": {"epochs": 2}}), tmp_path)
    assert recipe.read(tmp_path / recipe.FILE) == SMALL


def test_a_folder_of_an_older_version_used_all_labels(tmp_path: Path) -> None:
    recipe.keep(SMALL, tmp_path)
    older = json.loads((tmp_path / recipe.FILE).read_text())
    del older["labelled_share"]
    (tmp_path / recipe.FILE).write_text(json.dumps(older))
    recipe.keep(SMALL, tmp_path)
    with pytest.raises(TrainerError, match=r"T61.*another labelled_share"):
        recipe.keep(SMALL.model_copy(update={"labelled_share": 0.5}), tmp_path)


def test_a_share_of_the_labels_is_the_supervised_runs() -> None:
    few = SMALL.model_copy(update={"labelled_share": 0.25})
    runs = plan.plan(["pgls"], few)
    shares = {run.name: "--labelled-share" in run.options for run in runs}
    assert shares == {"two-stream-s0": True, "pgls-s0": False,
                      "two-stream-s1": True, "pgls-s1": False}  # fmt: skip
    assert option(of("two-stream-s0", runs).options, "--labelled-share") == "0.25"
