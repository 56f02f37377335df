"""Every test runs under shape checks: jaxtyping's hook with beartype on our packages."""

from jaxtyping import install_import_hook

install_import_hook(["lnscore", "engines", "trainer"], "typechecker.checked")
