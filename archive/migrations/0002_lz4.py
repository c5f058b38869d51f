"""TOAST compression lz4 for raw mail."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from jobs.compression import compress_with_lz4


def compress_content(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """The bytes of the mails."""
    compress_with_lz4(schema_editor, "archive_rawmail", "content")


class Migration(migrations.Migration):
    """After the table exists."""

    dependencies = [("archive", "0001_initial")]
    operations = [migrations.RunPython(compress_content, migrations.RunPython.noop)]
