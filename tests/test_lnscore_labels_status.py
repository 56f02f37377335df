"""Agreement of readers: counts, kappa, and the nodes they differ on."""

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from db import labels, runs
from db.labels import LabelRecord
from db.session import open_database
from db.studies import add_series
from db_rows import series
from lnscore.cli import app as cli
from lnscore.labels.agreement import kappa

SAID = {"Ana": (1, 1, 0, 0, 1), "Bo": (1, 0, 0, 0)}


@pytest.fixture
def location(tmp_path) -> str:
    """Five nodes, two readers."""
    location = str(tmp_path / "lnscore.db")
    with open_database(location, create=True) as database, database.begin() as session:
        added = add_series(session, series(nodes=5), runs.start(session, "ingest", [], "1"))
        ids = list(labels.node_ids(session, added.series_id).values())
        for reader, values in SAID.items():
            given = [LabelRecord(ids[i], reader, value, "") for i, value in enumerate(values)]
            labels.add(session, given)
    return location


@pytest.fixture
def status(location, monkeypatch, capsys):
    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lnscore", "labels", "status", "--db", location, *words])
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        return (leaving.value.code, *capsys.readouterr())

    return command


def test_kappa_of_a_table_worked_by_hand():
    # Cohen's own kind of example: 20 both yes, 15 both no, 5 and 10 apart; 0.7 seen, 0.5 by chance.
    table = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
    assert kappa(table) == pytest.approx(0.4)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=40))
def test_kappa_is_scikit_learn_s(table):
    first, second = zip(*table, strict=True)
    if len({*first, *second}) == 2:
        assert kappa(table) == pytest.approx(cohen_kappa_score(first, second))
    else:
        assert kappa(table) is None


def test_kappa_of_no_common_node_is_not_defined():
    assert kappa([]) is None


def test_the_json_has_counts_pairs_disagreements_and_the_consensus(status):
    code, out, _ = status("--rule", "majority", "--json")
    assert code == 0
    assert json.loads(out) == {
        "readers": {
            "Ana": {"nodes": 5, "malignant": 3, "benign": 2},
            "Bo": {"nodes": 4, "malignant": 1, "benign": 3},
        },
        "pairs": [{"first": "Ana", "second": "Bo", "both": 4, "same": 3, "kappa": 0.5}],
        "disagreements": [
            {"study_uid": "1.2.1", "tracking_uid": "2.25.1", "values": {"Ana": 1, "Bo": 0}}
        ],
        "consensus": {"rule": "majority", "malignant": 2, "benign": 2, "none": 1},
    }


def test_the_terminal_says_the_same(status):
    code, out, _ = status()
    assert code == 0
    assert "0.500" in out
    assert "Readers differ on 1 node" in out
    assert out.splitlines()[-1] == (
        "consensus 'unanimous': 2 malignant, 2 benign, 1 labelled but without consensus"
    )


def test_a_rule_that_is_none_exits_1(status):
    code, _, err = status("--rule", "Cy")
    assert code == 1
    assert "D19: consensus rule 'Cy'; wanted one of unanimous, majority" in err


def test_a_database_without_labels_says_how_to_import(tmp_path, monkeypatch, capsys):
    location = str(tmp_path / "empty.db")
    open_database(location, create=True).close()
    monkeypatch.setattr(sys, "argv", ["lnscore", "labels", "status", "--db", location])
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().out == "no labels; import them with: lnscore labels import FILE\n"
