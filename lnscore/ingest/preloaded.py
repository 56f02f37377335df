"""What the fork server loads before it makes workers: the readers.

Frozen, they are never searched for garbage, and a worker's copy of them stays shared.
"""

import gc

from lnscore.workers import no_collection

with no_collection():
    import lnscore.ingest.study  # noqa: F401

gc.freeze()
