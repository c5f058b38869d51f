"""Writing the record of changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from django.db.models import Model

from audit import origin
from audit.models import AuditEntry

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

SECRET = "changed"  # noqa: S105  # what stands in the record instead of a secret


def record(
    *,
    action: str,
    obj: Model | None = None,
    by: AbstractBaseUser | None = None,
    changes: Mapping[str, Any] | None = None,
    reason: str = "",
) -> AuditEntry:
    """Append one entry, in the caller's transaction, so that change and record stand or fall together.

    ``by`` None means the system itself. ``changes`` is ``{field: [old, new]}``; for secrets ``{field:
    "changed"}``.
    """
    return AuditEntry.objects.create(
        actor_id=by.pk if by else None,
        actor_label=str(by) if by else "system",
        ip=origin.current().ip,
        action=action,
        object_type=obj._meta.label_lower if obj else "",  # noqa: SLF001  # Django documents it as public
        object_id=str(obj.pk) if obj else "",
        object_label=str(obj)[:200] if obj else "",
        changes=dict(changes or {}),
        reason=reason,
    )


def snapshot(obj: Model, fields: Collection[str]) -> dict[str, Any]:
    """Values of ``fields`` as JSON can hold them; take one before and one after a change."""
    concrete = {field.name: field for field in (*obj._meta.concrete_fields, *obj._meta.many_to_many)}  # noqa: SLF001  # Django documents it as public
    return {name: _plain(concrete[name].value_from_object(obj)) for name in fields}


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], *, secrets: Collection[str] = ()
) -> dict[str, Any]:
    """What changed between two snapshots, with secrets reduced to the fact."""
    changed = {name for name in new if old.get(name) != new[name]}
    return {name: SECRET if name in secrets else [old.get(name), new[name]] for name in sorted(changed)}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str | float):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)
