"""`lnscore stations`: what is printed."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from command_line import printed
from lnscore.cli.app import app
from lnscore.errors import Refusal
from lnscore.stations import commands as job
from lnscore.stations import crosswalks


def run(*args: str) -> str:
    result = CliRunner().invoke(app, ["stations", *args], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def lines_of(capsys) -> list[str]:
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_list_names_every_system_and_crosswalk(capsys):
    printed(job.list_systems())
    lines = lines_of(capsys)
    assert "AJCC8 2017-ESO 18 AJCC/UICC 8th edition, oesophagus" in lines
    assert any(line.startswith("Crosswalks, none confirmed by a clinician:") for line in lines)


@pytest.mark.parametrize(
    ("confirmed", "said"),
    [((), "none"), (("A-B",), "only A-B"), (("A-B", "C-D"), "all")],
)
def test_list_says_which_crosswalks_are_confirmed(capsys, monkeypatch, confirmed, said):
    walk = crosswalks.read("AJCC8-JES11")
    walks = {name: replace(walk, name=name, confirmed=name in confirmed) for name in ("A-B", "C-D")}
    monkeypatch.setattr(crosswalks, "names", lambda: tuple(walks))
    monkeypatch.setattr(crosswalks, "read", walks.get)
    printed(job.list_systems())
    assert lines_of(capsys)[-1] == f"Crosswalks, {said} confirmed by a clinician: A-B, C-D"


def test_list_of_a_system_names_every_station_and_the_sources(capsys):
    printed(job.list_stations("ajcc 8th"))
    lines = lines_of(capsys)
    assert any(line.startswith("7 subcarinal") for line in lines)
    assert any(line.startswith("Source: Rice TW") for line in lines)
    assert any(line.startswith("Not confirmed: ") for line in lines)


def test_list_as_json_holds_every_station():
    (shown,) = json.loads(run("list", "JES11", "--json"))["systems"]
    assert "106recR" in {station["code"] for station in shown["stations"]}
    assert shown["confirmed"] is False


def test_list_of_all_as_json_says_that_no_crosswalk_is_confirmed():
    shown = json.loads(run("list", "--json"))
    assert len(shown["systems"]) == 9
    assert {one["confirmed_by_clinician"] for one in shown["crosswalks"]} == {False}


def test_show_finds_a_station_by_what_people_type(capsys):
    printed(job.show("JES 11:#106 rec R", None))
    lines = lines_of(capsys)
    assert lines[0] == "JES11:106recR"
    assert "meaning right recurrent laryngeal nerve" in lines


def test_show_with_a_crosswalk_says_that_no_clinician_confirmed_it(capsys):
    printed(job.show("AJCC8:18", "AJCC8-JES11"))
    lines = lines_of(capsys)
    assert "broader than JES11:8a anterosuperior common hepatic" in lines
    assert lines[-1] == "Warning: crosswalk AJCC8-JES11 (version 1) is not confirmed by a clinician"


def test_show_as_json_has_the_rows_of_the_crosswalk():
    shown = json.loads(run("show", "JES11:107", "--crosswalk", "AJCC8-JES11", "--json"))
    (row,) = shown["crosswalk"]["rows"]
    assert (row["relation"], row["station"]["code"]) == ("equal", "7")
    assert shown["crosswalk"]["confirmed_by_clinician"] is False


@pytest.mark.parametrize(
    ("text", "crosswalk", "message"),
    [
        ("106recR", None, "N06: station '106recR'; wanted SYSTEM:CODE"),
        ("JES:107", None, "N11: station system 'JES'; wanted one of AJCC8"),
        ("AJCC8:99", None, "N10: station '99' is not in AJCC8"),
        ("JES11:106rec", None, "N10: station side missing"),
        ("AJCC8:7", "FOO", "N11: crosswalk 'FOO'"),
        ("NECK:Ia", "AJCC8-JES11", "N11: crosswalk AJCC8-JES11 has no NECK; wanted one of none"),
    ],
)
def test_show_refuses_what_is_not_there(text, crosswalk, message):
    with pytest.raises(Refusal, match=message):
        job.show(text, crosswalk)


def test_explain_says_what_a_number_means_in_every_system(capsys):
    printed(job.explain("7"))
    lines = lines_of(capsys)
    assert "AJCC8 subcarinal 7" in lines
    assert "JES11 left gastric 7" in lines
    assert lines[-1] == "Ambiguous: 7 systems have it. Always add the system, as AJCC8:CODE."


def test_explain_says_that_a_side_is_missing(capsys):
    printed(job.explain("106rec"))
    assert "JES11 the side is missing 106recR, 106recL" in lines_of(capsys)


def test_explain_says_what_is_near(capsys):
    printed(job.explain("106recX"))
    lines = lines_of(capsys)
    assert "JES11 nothing; looks like 106recR, 106recL" in lines
    assert lines[-1] == "'106recX' is no station of any system."


def test_explain_as_json_answers_for_every_system():
    shown = json.loads(run("explain", "RRLN", "--json"))
    assert shown["text"] == "RRLN"
    assert shown["systems"]["CHN"]["station"]["code"] == "C201"
    assert shown["systems"]["IASLC"] == {"station": None, "sides": [], "near": []}


def test_explain_prints_any_text_as_it_is(capsys):
    printed(job.explain("[bold]x[/]"))
    assert "[bold]x[/]" in capsys.readouterr().out
