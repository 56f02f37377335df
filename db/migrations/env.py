"""Alembic environment: run the migrations on the connection that `db.migrate` passes.

To add a migration, change `db/schema.py`, write `versions/NNNN_what.py` with the next number and
raise `schema.HEAD`. The tests compare the migrated schema with the models.
"""

from alembic import context

from db.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
context.run_migrations()  # in the caller's transaction: all migrations are applied, or none
