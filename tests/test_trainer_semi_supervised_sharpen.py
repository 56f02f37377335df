"""Label sharpening: the paper's rules to the letter, ours beside them, and the choice of K."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.semi_supervised.sharpen import (
    ABOVE_BETA,
    ALL_BENIGN,
    BELOW_GAMMA,
    BENIGN,
    MALIGNANT,
    NO_LABEL,
    NONE,
    TOP1,
    UNKNOWN,
    Rules,
    best_of_each,
    select,
    sharpen,
)

SCORE = np.array([0.70, 0.71, 0.20, 0.29, 0.30, 0.95, 0.99])
STATUS = np.array([MALIGNANT] * 3 + [BENIGN] * 3 + [UNKNOWN])
STATION = np.array([0, 1, 2, 3, 3, 3, -1])


def test_the_papers_rules() -> None:
    given = sharpen(SCORE, STATUS, STATION, Rules())
    assert given.label.tolist() == [-1, 1, -1, 0, -1, -1, -1]
    assert given.rule.tolist() == [NONE, ABOVE_BETA, NONE, BELOW_GAMMA, NONE, NONE, NONE]
    assert (given.pool(1), given.pool(0)) == (1, 1)


def test_every_node_of_a_benign_station_is_benign_where_asked() -> None:
    given = sharpen(SCORE, STATUS, STATION, Rules(benign_rule="all"))
    assert given.label.tolist() == [-1, 1, -1, 0, 0, 0, -1]
    assert given.rule.tolist()[3:6] == [BELOW_GAMMA, ALL_BENIGN, ALL_BENIGN]


def test_the_best_node_of_every_malignant_station_is_malignant_where_asked() -> None:
    score = np.array([0.1, 0.4, 0.4, 0.9, 0.8, 0.2, 0.6, 0.9])
    status = np.array([1, 1, 1, 1, 1, 0, -1, 1])
    station = np.array([5, 5, 5, 7, 7, 9, -1, -1])
    given = sharpen(score, status, station, Rules(malignant_rule="top1"))
    assert given.label.tolist() == [-1, 1, -1, 1, 1, 0, -1, 1]
    assert given.rule.tolist() == [
        NONE, TOP1, NONE, ABOVE_BETA, ABOVE_BETA, BELOW_GAMMA, NONE, ABOVE_BETA,
    ]  # fmt: skip


def test_a_node_without_a_station_of_its_own_is_no_stations_best() -> None:
    given = sharpen(
        np.array([0.5]), np.array([MALIGNANT]), np.array([-1]), Rules(malignant_rule="top1")
    )
    assert given.label.tolist() == [NO_LABEL]


def test_no_nodes_give_no_labels() -> None:
    nothing = np.zeros(0)
    given = sharpen(nothing, nothing.astype(int), nothing.astype(int), Rules())
    assert len(given.label) == 0


NODES = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from([0, 1, -1]), st.integers(0, 4)), max_size=40
)
ALL_RULES = st.builds(
    Rules,
    beta=st.floats(0.5, 1),
    gamma=st.floats(0, 0.5),
    benign_rule=st.sampled_from(["gamma", "all"]),
    malignant_rule=st.sampled_from(["beta", "top1"]),
)


@given(NODES, ALL_RULES)
def test_a_label_never_contradicts_the_station(nodes: list, rules: Rules) -> None:
    score, status, station = (np.array(column) for column in zip(*nodes, strict=True)) if nodes \
        else (np.zeros(0), np.zeros(0, int), np.zeros(0, int))  # fmt: skip
    bags = np.where(status >= 0, 2 * station + status, -1)
    told = sharpen(score, status, bags, rules)
    has = told.label != NO_LABEL
    assert (told.label[has] == status[has]).all()
    assert (told.rule[~has] == NONE).all()
    assert ((told.rule != NONE) == has).all()
    if rules.malignant_rule == "top1":
        assert set(bags[status == 1].tolist()) == set(bags[told.label == 1].tolist())


@given(NODES)
def test_the_best_of_each_is_one_and_none_is_better(nodes: list) -> None:
    score = np.array([one[0] for one in nodes])
    station = np.array([one[2] for one in nodes], int)
    best = best_of_each(score, station)
    assert sorted(station[best].tolist()) == sorted(set(station.tolist()))
    for place in best:
        assert score[place] == score[station == station[place]].max()


LABELS = st.lists(st.sampled_from([-1, 0, 0, 1]), max_size=60).map(lambda v: np.array(v, np.int8))


@given(LABELS, st.integers(0, 40), st.sampled_from(["uniform", "stratified"]), st.integers(0, 99))
def test_selected_are_k_or_all_and_all_have_a_label(labels, count, how, seed) -> None:
    chosen = select(labels, count, how, np.random.default_rng(seed))
    assert chosen.sum() == min(count, (labels != NO_LABEL).sum())
    assert (labels[chosen] != NO_LABEL).all()


@pytest.mark.parametrize("how", ["uniform", "stratified"])
def test_selection_repeats_by_seed_and_differs_by_epoch(how) -> None:
    labels = np.array([0] * 200 + [1] * 20 + [-1] * 30, np.int8)
    draws = [select(labels, 40, how, np.random.default_rng([0, 0, epoch])) for epoch in (0, 0, 1)]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()


def test_stratified_takes_malignant_up_to_half_first() -> None:
    labels = np.array([0] * 200 + [1] * 30, np.int8)
    chosen = select(labels, 40, "stratified", np.random.default_rng(0))
    assert labels[chosen].sum() == 20
    few = np.array([0] * 200 + [1] * 3, np.int8)
    assert few[select(few, 40, "stratified", np.random.default_rng(0))].sum() == 3


def test_uniform_takes_each_label_in_its_share() -> None:
    labels = np.array([0] * 900 + [1] * 100, np.int8)
    taken = [labels[select(labels, 200, "uniform", np.random.default_rng(s))].sum() for s in
             range(50)]  # fmt: skip
    assert np.mean(taken) == pytest.approx(20, abs=2)
