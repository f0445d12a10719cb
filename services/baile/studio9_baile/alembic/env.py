"""Runs migrations on the connection that `studio9_baile.migrations` hands over."""

from alembic import context

from studio9_baile.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
