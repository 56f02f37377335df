"""The command line: exit codes, whole messages, help that answers at once."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import commands
from db.lock import writer_lock
from demo_bundle import DEMO, copy_demo
from engines import bundle as bundles
from fake_cohort import filled, settings_in, study_uid
from lnscore.settings import Settings
from lnscore.version import version

pytest_plugins = ["command_line"]

ROOT = Path(__file__).parents[1]
# fmt: off
HEAVY = [
    "torch", "numpy", "sqlalchemy", "pydicom", "highdicom", "SimpleITK", "onnx", "onnxruntime",
    "polars", "matplotlib", "pydantic", "alembic", "jinja2", "pebble",
]
# fmt: on


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    filled(settings_in(folder), 3, 4)
    return folder


@pytest.fixture
def settings(cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    shutil.copytree(cohort, tmp_path / "site")
    monkeypatch.setenv("LNSCORE_ENGINES", str(tmp_path / "engines"))
    return settings_in(tmp_path / "site")


def test_the_commands_are_those_of_the_design() -> None:
    assert set(commands()) == {
        "ingest",
        "score",
        "report",
        "nightly",
        "status",
        "doctor",
        "eval",
        "train",
        "train ledger",
        "reproduce",
        "phantom",
        "engine list",
        "engine show",
        "engine build",
        "engine verify",
        "engine import",
        "engine promote",
        "engine diff",
        "labels import",
        "labels status",
        "stations list",
        "stations show",
        "stations explain",
        "pathology import",
        "pathology preview",
        "pathology draft",
        "pathology status",
    }


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_has_help_and_is_documented(name: str) -> None:
    command = commands()[name]
    assert re.match(r"[A-Z].*\.$", command.help or "", re.DOTALL)
    for option in command.params:
        if option.name in ("patients", "seed", "study", "help"):
            continue  # their names say it
        described = getattr(option, "help", None)
        assert described or option.param_type_name == "argument", f"{name} --{option.name}"
    text = "\n".join(file.read_text() for file in (ROOT / "README.md", *ROOT.glob("docs/*.md")))
    assert f"lnscore {name}" in text


def test_an_option_of_a_training_before_another_command_is_refused(lnscore) -> None:
    code, _, err = lnscore("train", "--seed", "1", "ledger", "runs/first")
    assert code == 2
    assert "--seed before ledger" in err


def test_help_and_version_load_nothing_heavy() -> None:
    for word in ("--help", "--version"):
        code = (
            f"import sys; sys.argv = ['lnscore', {word!r}]\n"
            "from lnscore.cli import app as cli\n"
            "try: cli.main()\n"
            "except SystemExit: pass\n"
            f"sys.stderr.write(' '.join(set({HEAVY!r}) & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout


def test_version_is_the_installed_one(lnscore) -> None:
    assert lnscore("--version") == (0, f"lnscore {version()}\n", "")


def test_score_prints_what_it_did(lnscore, settings) -> None:
    code, out, err = lnscore("score", "--pending", "--db", settings.db)
    assert code == 0
    first, second = out.splitlines()
    assert re.fullmatch(
        r"12 nodes of 3 studies scored by engine demo \(\d+ nodes/s\); 12 scores are new", first
    )
    assert second == f"engine demo is {bundles.read_manifest(DEMO).caution}"
    assert err == "engine demo on onnx, fp32\n"


def test_score_with_nothing_to_do_is_done(lnscore, settings) -> None:
    lnscore("score", "--pending", "--db", settings.db)
    code, out, _ = lnscore("score", "--pending", "--db", settings.db)
    assert (code, out.splitlines()[0]) == (0, "nothing to score")


def test_score_as_json_is_one_document_on_standard_output(lnscore, settings) -> None:
    code, out, _ = lnscore("score", "--study", study_uid(1), "--json", "--db", settings.db)
    told = json.loads(out)
    assert (code, told["studies"], told["nodes"], told["engine"]) == (0, 1, 4, "demo")


def test_a_refused_study_exits_3_with_its_sentence(lnscore, settings) -> None:
    next(settings.store_root.rglob("*.npy")).unlink()
    code, out, _ = lnscore("score", "--all", "--db", settings.db)
    assert code == 3
    assert re.search(r"^refused: study 1\.2\.826\.\d: D16: the patch store has no ", out, re.M)


def test_an_unknown_study_exits_1_with_its_sentence(lnscore, settings) -> None:
    assert lnscore("score", "--study", "9.9", "--db", settings.db) == (
        1,
        "",
        f"error U04: no study 9.9 in {settings.db}; wanted the StudyInstanceUID of a study that "
        "was ingested. Ingest it first, or correct --study or --db.\n",
    )


def test_a_database_that_is_not_there_exits_1_with_its_sentence(lnscore, tmp_path) -> None:
    db = str(tmp_path / "none.db")
    assert lnscore("score", "--pending", "--db", db) == (
        1,
        "",
        f"error D01: no study database at {db}; wanted one that `lnscore ingest` made. "
        "Correct --db, or ingest first.\n",
    )


def test_an_unknown_engine_exits_4_with_its_sentence(lnscore, settings) -> None:
    assert lnscore("score", "--pending", "--engine", "x", "--db", settings.db) == (
        4,
        "",
        "error E11: engine 'x'; wanted one of: demo. Import it with `lnscore engine import`.\n",
    )


def test_a_held_database_exits_5_with_its_sentence(lnscore, settings) -> None:
    with writer_lock(settings.db):
        answer = lnscore("score", "--pending", "--db", settings.db)
    assert answer == (
        5,
        "",
        f"error D10: another run is writing to {settings.db}; wanted one run at a time. "
        "Wait for it to end; nothing was changed.\n",
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("score",), "give one of --study UID, --pending, --all"),
        (("score", "--pending", "--all"), "give one of --study UID, --pending, --all"),
        (("phantom",), "give one of --out FOLDER"),
        (("phantom", "--out", "x", "--like-paper"), "--like-paper goes with --direct"),
        (("phantom", "--direct", "x", "--share", "0.5"), "goes with --like-paper"),
        (("nonsense",), "No such command 'nonsense'"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_wanted(lnscore, words, says: str) -> None:
    code, out, err = lnscore(*words)
    assert (code, out) == (2, "")
    assert says in err


def test_a_setting_that_does_not_fit_exits_1_with_its_variable(lnscore, monkeypatch) -> None:
    monkeypatch.setenv("LNSCORE_JOBS", "none")
    code, out, err = lnscore("doctor")
    assert (code, out) == (1, "")
    assert err.startswith("error U03: LNSCORE_JOBS='none'; wanted ")


def test_engine_commands_exit_as_designed(lnscore, settings, tmp_path) -> None:
    assert lnscore("engine", "list")[0] == 0
    assert lnscore("engine", "show", "demo")[0] == 0
    assert lnscore("engine", "verify", "demo")[0] == 0
    source = copy_demo(tmp_path / "demo")
    assert lnscore("engine", "import", str(source)) == (
        0,
        f"engine demo is there already: {cli_demo()}\n",
        "",
    )
    code, out, err = lnscore("engine", "import", str(source), "--sha256", "0" * 64)
    assert (code, out, err[:11]) == (4, "", "error E13: ")


def cli_demo() -> Path:
    from lnscore.scoring.engine_choice import SHIPPED

    return SHIPPED / "demo"


def test_status_and_doctor_answer(lnscore, settings) -> None:
    code, out, _ = lnscore("status", "--db", settings.db, "--json")
    assert (code, json.loads(out)["nodes"]) == (0, 12)
    code, out, _ = lnscore("doctor", "--db", settings.db, "--json")
    assert code == 1  # patients without a secret
    assert [row["name"] for row in json.loads(out) if row["state"] == "fail"] == ["secret"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_ctrl_c_exits_1_and_says_that_nothing_is_lost(tmp_path) -> None:
    settings = filled(settings_in(tmp_path), 40, 8)
    command = [sys.executable, "-P", "-m", "lnscore", "score", "--pending", "--db", settings.db]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("engine demo on ")
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert error.splitlines()[-1] == (
        "error stopped; what was finished is kept, run the command again to go on"
    )


def test_a_users_own_trainer_py_is_not_imported(tmp_path) -> None:
    for name in ("trainer.py", "db.py", "lnscore.py"):
        (tmp_path / name).write_text("raise SystemExit('imported from the working folder')")
    command = [sys.executable, "-P", "-m", "lnscore", "train", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
