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

pytest.register_assert_rewrite("command_line")  # a plugin that its users also import from

install_import_hook(["lnscore", "engines", "trainer"], "typechecker.checked")


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
