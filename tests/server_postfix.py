"""A real Postfix, private to a test run, that relays to an SMTP sink, and a real greylist for it."""

import os
import shutil
import subprocess

import pytest

from tests.server_basics import ServerProcess, free_port, require_program

_MAIN_CF = """
compatibility_level = 3.6
queue_directory = {root}/spool
data_directory = {root}/data
maillog_file = {root}/log
maillog_file_prefixes = {root}
myhostname = postfix.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
local_recipient_maps =
alias_maps =
alias_database =
local_header_rewrite_clients =
relayhost = [127.0.0.1]:{relay_port}
smtp_tls_security_level =
smtpd_recipient_restrictions = check_recipient_access regexp:{root}/conf/recipients,
    {policy} permit_mynetworks, reject
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
in_flow_delay = 0
"""

_MASTER_CF = """
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

_MASTER = "/usr/lib/postfix/sbin/master"
# It leads a process group, which it ends. It changes its user: the kernel would not tell it of our end.
_KEEPER = 'setsid "$0" "$@" & trap "kill $!" TERM; wait; wait'


class Postfix(ServerProcess):
    """A private Postfix (root only): takes mail on ``port`` and hands all of it to ``relay_port``.

    Recipients whose local part begins with ``unknown`` are refused (550). ``greylist`` is asked about others.
    """

    ready_seconds = 30

    def __init__(self, relay_port: int, *, greylist: "Postgrey | None" = None) -> None:
        self._program = require_program("postfix", "postfix")
        if os.geteuid() != 0:
            pytest.skip("Postfix needs root to drop its rights from")
        self._relay_port = relay_port
        self._policy = f"check_policy_service inet:127.0.0.1:{greylist.port}," if greylist else ""
        self.host = "localhost"

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start it with an empty queue."""
        for name in ("spool", "data", "conf"):
            (self.root / name).mkdir()
            (self.root / name).chmod(0o755)  # whatever the umask
        shutil.chown(self.root / "data", "postfix")
        conf = self.root / "conf"
        settings = {"root": self.root, "relay_port": self._relay_port, "policy": self._policy}
        (conf / "main.cf").write_text(_MAIN_CF.format(**settings))
        (conf / "master.cf").write_text(_MASTER_CF)
        (conf / "recipients").write_text("/^unknown/ 550 5.1.1 User unknown\n")
        configuration = ["-c", str(conf)]
        subprocess.run([self._program, *configuration, "check"], check=True)  # makes the queue's folders
        self.port = free_port()  # not before: it takes a second until now, and others look for ports, too
        (conf / "master.cf").write_text(f"{_MASTER_CF}127.0.0.1:{self.port} inet n - n - - smtpd\n")
        return self.spawn("sh", "-c", _KEEPER, _MASTER, *configuration, "-d", start_new_session=True)

    @property
    def is_idle(self) -> bool:
        """Tell whether everything that was taken has been handed on.

        A mail moves from ``incoming`` to ``active``: asked in that order, it cannot slip through.
        """
        queues = (self.root / "spool" / name for name in ("incoming", "active", "deferred"))
        return not any(path.is_file() for queue in queues for path in queue.rglob("*"))


class Postgrey(ServerProcess):
    """A private greylist (root only): whoever is new is told to come again after a second."""

    ready_seconds = 30

    def __init__(self) -> None:
        self._program = require_program("postgrey", "postgrey")
        if os.geteuid() != 0:
            pytest.skip("Postgrey needs root to drop its rights from")
        self.port = free_port()

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start it with nobody known."""
        shutil.chown(self.root, "postgrey", "postgrey")
        return self.spawn(
            self._program, f"--inet=127.0.0.1:{self.port}", f"--dbdir={self.root}", "--delay=1",
            "--auto-whitelist-clients=0", "--whitelist-clients=/dev/null",
            "--whitelist-recipients=/dev/null",
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
