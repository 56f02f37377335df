"""Every test runs under shape checks: jaxtyping's hook with beartype on our packages."""

import os
from collections.abc import Iterator

# Before torch is loaded, here and in processes that tests start: on a busy machine its threads
# wait for one another for minutes, and another number of threads gives other last digits.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest
from jaxtyping import install_import_hook

# A busy machine is no error: what a test claims is never a time.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Plugins that their users also import from.
pytest.register_assert_rewrite("command_line", "exported_once", "fake_training")

install_import_hook(["lnscore", "engines", "trainer"], "typechecker.checked")

LONGEST = (
    "test_engines_tensorrt_build",
    "test_trainer_semi_supervised_stage",
    "test_lnscore_train_reproduce",
    "test_lnscore_train_engine",
    "test_trainer_export_networks",
    "test_trainer_semi_supervised_teacher_session",
    "test_lnscore_report_job",
    "test_trainer_export_graph",
    "test_lnscore_scoring_killed",
    "test_lnscore_train_semi_supervised",
    "test_lnscore_train_job",
    "test_lnscore_scoring_job",
    "test_lnscore_ingest_job",
    "test_trainer_bundle_from_run",
    "test_trainer_networks",
    "test_docs_pathology",
    "test_lnscore_phantom_difficulty",
)
"""Files of more than about 15 s, the longest first: begun last, one would keep one waiting."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; with `--no-loadscope-reorder` xdist hands them out so."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture(scope="session", autouse=True)
def choice_of_back_end(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`auto` takes ONNX Runtime for the shipped engine, however busy this machine is.

    Said in the cache that the choice is remembered in, which processes that tests start
    read as well. The home of the user is left alone, and engines in it are not seen.
    """
    from demo_bundle import DEMO
    from engines import bundle as bundles
    from engines import quick_choice

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LNSCORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("LNSCORE_ENGINES", str(tmp_path_factory.mktemp("engines")))
        bundle = bundles.read(DEMO)
        for precision in bundle.manifest.models:
            measured = {"openvino_ms": 2.0, "onnx_ms": 1.0, "wins": 0}
            quick_choice.remember(bundle, precision, None, measured)
        yield
