"""Load the modules that read files; the fork server imports this before it makes workers.

`gc.freeze` excludes the loaded objects from garbage collection. The collection would write to
their memory pages, and the workers could no longer share them.
"""

import gc

from lnscore.workers import no_collection

with no_collection():
    import lnscore.ingest.study  # noqa: F401

gc.freeze()
