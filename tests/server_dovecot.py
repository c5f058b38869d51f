"""A real Dovecot, private to a test run."""

import contextlib
import grp
import imaplib
import os
import pwd
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.certificates import Certificate
from tests.server_basics import ServerProcess, answers, free_port, require_program


@dataclass(frozen=True)
class MailUser:
    """A mailbox on the test's Dovecot."""

    username: str
    password: str


_DOVECOT_CONF = """
base_dir = {root}/run
state_dir = {root}/run
log_path = {root}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{cert_file}
ssl_key = <{key_file}
disable_plaintext_auth = no
auth_mechanisms = {auth_mechanisms}
auth_failure_delay = 0
auth_verbose = yes
mail_fsync = never
mail_location = maildir:{root}/home/%u/Maildir
mail_max_userip_connections = {connections_a_user}
first_valid_uid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={root}/home/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
  mailbox Drafts {{
    auto = create
    special_use = \\Drafts
  }}
  mailbox Trash {{
    auto = create
    special_use = \\Trash
  }}
  mailbox Junk {{
    auto = create
    special_use = \\Junk
  }}
}}
service imap-login {{
  chroot =
  service_count = 0
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
{extra}
"""

_UNPRIVILEGED = """
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
"""


class Dovecot(ServerProcess):
    """A private Dovecot: ``port`` speaks plain and STARTTLS, ``tls_port`` TLS. Mailboxes are Maildirs.

    ``capability`` replaces what the server says it can (after the login); ``quota`` is a rule such as
    ``*:storage=64K``; ``acl`` switches ACLs on, see ``make_read_only``; ``extra`` is further configuration.
    """

    def __init__(
        self,
        certificate: Certificate,
        *,
        capability: str | None = None,
        quota: str | None = None,
        acl: bool = False,
        auth_mechanisms: str = "plain login",
        connections_a_user: int = 100,
        password: str = "Geheim-4711",
        extra: str = "",
    ) -> None:
        self._program = require_program("dovecot", "dovecot-imapd")
        self._certificate = certificate
        self._capability, self._quota, self._acl = capability, quota, acl
        self._auth_mechanisms, self._connections_a_user = auth_mechanisms, connections_a_user
        self.host, self.password = "localhost", password
        self.port, self.tls_port = free_port(), free_port()
        self._users = 0
        self._extra = extra

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start it with an empty mailbox for everybody."""
        (self.root / "run").mkdir()
        (self.root / "home").mkdir()
        if os.geteuid() == 0:
            os.chown(self.root / "home", 65534, 65534)
        config = self.root / "dovecot.conf"
        config.write_text(self._configuration())
        with (self.root / "stderr.log").open("wb") as complaints:
            return self.spawn(self._program, "-F", "-c", str(config), stderr=complaints)

    def _is_ready(self) -> bool:
        return super()._is_ready() and answers(self.tls_port)

    def _configuration(self) -> str:
        is_root = os.geteuid() == 0
        uid, gid = (65534, 65534) if is_root else (os.geteuid(), os.getegid())
        extra = "" if is_root else _UNPRIVILEGED.format(user=_user_name(), group=_group_name())
        if self._capability:
            extra += f"imap_capability = {self._capability}\n"
        plugins = " ".join(p for p, on in (("quota", self._quota), ("acl", self._acl)) if on)
        if plugins:
            extra += f"mail_plugins = {plugins}\nplugin {{\n"
            extra += f"  quota = maildir:User quota\n  quota_rule = {self._quota}\n" if self._quota else ""
            extra += "  acl = vfile\n" if self._acl else ""
            extra += "}\n"
        extra += self._extra
        return _DOVECOT_CONF.format(
            root=self.root,
            cert_file=self._certificate.cert_file,
            key_file=self._certificate.key_file,
            uid=uid,
            gid=gid,
            port=self.port,
            tls_port=self.tls_port,
            extra=extra,
            auth_mechanisms=self._auth_mechanisms,
            connections_a_user=self._connections_a_user,
            password=self.password,
        )  # fmt: skip

    def new_user(self, username: str | None = None) -> MailUser:
        """Return a mailbox nobody has used. Any name may log in, with the server's one password."""
        self._users += 1
        return MailUser(username or f"user{self._users}@firma.example", self.password)

    def maildir(self, user: MailUser, folder: str = "INBOX") -> Path:
        """Return the Maildir of ``folder``."""
        root = self.root / "home" / user.username / "Maildir"
        return root if folder == "INBOX" else root / ("." + folder.replace("/", "."))

    @contextlib.contextmanager
    def rival(self, user: MailUser, folder: str = "INBOX") -> Iterator[imaplib.IMAP4]:
        """Log in as the colleague who has the same mailbox open, ``folder`` selected."""
        client = imaplib.IMAP4("127.0.0.1", self.port)
        try:
            client.login(user.username, user.password)
            client.select(folder)
            yield client
        finally:
            client.logout()

    def deliver(
        self,
        user: MailUser,
        *mails: bytes,
        folder: str = "INBOX",
        flags: str = "",
        internal_date: str | None = None,
    ) -> None:
        """Put ``mails`` into ``folder``; ``internal_date`` as IMAP writes it, with its quotes."""
        with self.rival(user, folder) as client:
            for raw in mails:
                typ, data = client.append(folder, flags, internal_date, raw)
                assert typ == "OK", data

    def flags(self, user: MailUser, folder: str = "INBOX") -> dict[int, frozenset[str]]:
        """Return every UID with its flags, \\Recent left out."""
        with self.rival(user, folder) as client:
            _, data = client.uid("FETCH", "1:*", "(FLAGS)")
        found = {}
        for line in data:
            if line and (match := re.search(rb"UID (\d+)", line)):
                names = imaplib.ParseFlags(line)
                found[int(match.group(1))] = frozenset(n.decode() for n in names) - {"\\Recent"}
        return found

    def reset_uid_validity(self, user: MailUser, folder: str = "INBOX", uid_validity: int = 0) -> None:
        """Renumber ``folder``: UIDs from 1 again, under another UIDVALIDITY or, as after a server's restore,
        under the one given.
        """
        maildir = self.maildir(user, folder)
        for path in [*maildir.glob("dovecot.index*"), maildir / "dovecot-uidlist"]:
            path.unlink(missing_ok=True)
        # The next UIDVALIDITY is the time in seconds; a bigger one must not be the same.
        for path in [*maildir.glob("dovecot-uidvalidity*")]:
            path.unlink(missing_ok=True)
        uid_list = maildir / "dovecot-uidlist"
        uid_validity = uid_validity or int(time.time()) + 100_000 + self._users
        uid_list.write_text(f"3 V{uid_validity} N1 G{os.urandom(16).hex()}\n")
        if os.geteuid() == 0:
            os.chown(uid_list, 65534, 65534)

    def make_read_only(self, user: MailUser, folder: str) -> None:
        """Take all rights but reading (needs ``acl=True``; the folder must exist)."""
        rights = self.maildir(user, folder) / "dovecot-acl"
        rights.write_text("owner lr\n")
        rights.chmod(0o644)  # whatever the umask


def _user_name() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _group_name() -> str:
    return grp.getgrgid(os.getegid()).gr_name
