"""How PostgreSQL compresses large values: lz4, because its default (pglz) slows the import down."""

from __future__ import annotations

from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def compress_with_lz4(schema_editor: BaseDatabaseSchemaEditor, table: str, *columns: str) -> None:
    """Compress new values of ``columns`` with lz4, where the database is PostgreSQL built with it.

    For migrations; elsewhere there is nothing to set.
    """
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
        )
        row = cursor.fetchone()
    if row and row[0]:
        quote = schema_editor.quote_name
        for column in columns:
            schema_editor.execute(
                f"ALTER TABLE {quote(table)} ALTER COLUMN {quote(column)} SET COMPRESSION lz4"
            )
