"""The database itself refuses to change what was recorded (W12).

What may happen to an entry is that the link to its user is cleared, when that user's row goes. SQLite refuses
changes only: there the tests empty tables with DELETE. The chain shows both, and whoever drops the triggers.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

POSTGRESQL = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'The audit record is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$;
CREATE TRIGGER audit_entry_stays BEFORE DELETE OR UPDATE OF
    id, at, actor_label, ip, action, object_type, object_id, object_label, changes, reason
    ON audit_auditentry FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_actor_stays BEFORE UPDATE OF actor_id ON audit_auditentry
    FOR EACH ROW WHEN (NEW.actor_id IS NOT NULL) EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_seal_stays BEFORE DELETE OR UPDATE ON audit_auditseal
    FOR EACH ROW EXECUTE FUNCTION audit_refuse();
"""
SQLITE = (
    """CREATE TRIGGER audit_entry_stays BEFORE UPDATE OF
    id, at, actor_label, ip, action, object_type, object_id, object_label, changes, reason
    ON audit_auditentry BEGIN SELECT RAISE(ABORT, 'The audit record is append-only'); END""",
    """CREATE TRIGGER audit_actor_stays BEFORE UPDATE OF actor_id ON audit_auditentry
    WHEN NEW.actor_id IS NOT NULL BEGIN SELECT RAISE(ABORT, 'The audit record is append-only'); END""",
    """CREATE TRIGGER audit_seal_stays BEFORE UPDATE ON audit_auditseal
    BEGIN SELECT RAISE(ABORT, 'The audit record is append-only'); END""",
)


def refuse_changes(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Triggers, in the words of either database."""
    for statement in [POSTGRESQL] if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    """After the tables exist."""

    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunPython(refuse_changes, migrations.RunPython.noop)]
