"""What Alembic runs to migrate a ledger, on the connection that ``upgrade`` hands it."""

from __future__ import annotations

from alembic import context

from kf2v_pipeline.storage.migrations import VERSION_TABLE
from kf2v_pipeline.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
with context.begin_transaction():
    context.run_migrations()
