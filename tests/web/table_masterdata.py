"""Rows of the frame, the login and master data."""

from tests.web.matrix import ADMINISTRATORS, EVERYBODY, NOT_THIS_WAY, Row, World

ADDRESS_USERS = ("staff", "agent", *ADMINISTRATORS)
AUDIT_READERS = ("auditor", *ADMINISTRATORS)
SUPERUSER = ("superuser",)


def _one(name):
    return lambda world: [world[name].pk]


def _unknown(_world: World) -> list[int]:
    return [999_999]


def _pages(kind: str, who: tuple[str, ...], *actions: str) -> list[Row]:
    """List, new, edit (own and unknown) and the further actions of one kind of object."""
    rows = [Row(f"masterdata:{kind}_list", who), Row(f"masterdata:{kind}_create", who)]
    rows += [Row(f"masterdata:{kind}_list", who, query="?format=csv", case="csv")]
    for action in ("edit", *actions):
        name = f"masterdata:{kind}_{action}"
        rows += [
            Row(name, who, args=_one(kind)),
            Row(name, (), args=_unknown, missing=who, case="unknown"),
            Row(name, (), args=_unknown, missing=who, method="post", case="unknown"),
        ]
    return rows


ROWS = [
    Row("login", (), public=True, case="visitor"),
    Row("logout", EVERYBODY, answer=NOT_THIS_WAY),
    Row("set_language", EVERYBODY, answer=NOT_THIS_WAY, public=True),
    Row("password_change", EVERYBODY),
    Row("masterdata:settings", AUDIT_READERS),
    Row("masterdata:company", ADMINISTRATORS),
    Row("masterdata:audit", AUDIT_READERS),
    Row("masterdata:audit", AUDIT_READERS, query="?format=csv", case="csv"),
    *_pages("project", ADMINISTRATORS, "delete"),
    *_pages("address", ADDRESS_USERS, "delete"),
    *_pages("employee", ADMINISTRATORS, "delete"),
    *_pages("user", SUPERUSER, "password"),
]
