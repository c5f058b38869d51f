"""The groups that roles are made of."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

ROLES = ("mail_administrator", "staff", "agent", "auditor")


def create_groups(apps: StateApps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make each role's group."""
    group = apps.get_model("auth", "Group")
    for name in ROLES:
        group.objects.get_or_create(name=name)


class Migration(migrations.Migration):
    """After the tables of users exist."""

    dependencies = [("masterdata", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]
    operations = [migrations.RunPython(create_groups, migrations.RunPython.noop)]
