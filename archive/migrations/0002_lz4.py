"""TOAST compression lz4 for raw mail: the default (pglz) halves the import."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def compress_with_lz4(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """PostgreSQL built with lz4 only; elsewhere there is nothing to set."""
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'")
        row = cursor.fetchone()
    if row and row[0]:
        schema_editor.execute("ALTER TABLE archive_rawmail ALTER COLUMN content SET COMPRESSION lz4")


class Migration(migrations.Migration):
    """After the table exists."""

    dependencies = [("archive", "0001_initial")]
    operations = [migrations.RunPython(compress_with_lz4, migrations.RunPython.noop)]
