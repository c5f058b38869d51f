"""TOAST compression lz4 for what mails say."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from jobs.compression import compress_with_lz4


def compress_messages(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Text and HTML."""
    compress_with_lz4(schema_editor, "tickets_ticketmessage", "text", "untrusted_html")


class Migration(migrations.Migration):
    """After the table exists."""

    dependencies = [("tickets", "0001_initial")]
    operations = [migrations.RunPython(compress_messages, migrations.RunPython.noop)]
