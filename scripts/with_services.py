"""Run a command with a PostgreSQL and a Redis of its own, on free ports of loopback, gone afterwards.

Nothing that already runs on the machine is used or touched. Usage: with_services.py COMMAND [ARGUMENT …]
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

START_SECONDS = 30.0
ENDING_WITH_US = ("setpriv", "--pdeathsig", "TERM")
"""Before a command: it gets SIGTERM when this process is gone, even by kill -9."""


def main(command: list[str]) -> int:
    """Start both, run the command, stop both; the command's exit status is ours."""
    with tempfile.TemporaryDirectory(prefix="erp-services-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with postgresql(folder / "pg") as database_url, redis(folder) as broker_url:
            environment = {**os.environ, "TEST_DATABASE_URL": database_url, "TEST_BROKER_URL": broker_url}
            return run_to_its_end(command, environment)


def run_to_its_end(command: list[str], environment: dict[str, str]) -> int:
    """Run the command; its exit status. It is told of SIGTERM, and of Ctrl-C by the terminal: it ends first,
    then what it uses.
    """
    process = subprocess.Popen(command, env=environment)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    signal.signal(signal.SIGINT, lambda *_: None)
    return process.wait()


@contextlib.contextmanager
def postgresql(data: Path, *, durable: bool = False) -> Iterator[str]:
    """A cluster with trust on loopback only; without fsync unless ``durable``."""
    binaries = newest_postgresql()
    port = free_port()
    data.mkdir()
    unprivileged = as_other_user(data)
    run(
        [
            *unprivileged,
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-N",
        ]
    )
    options = (
        f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories= "
        "-c max_connections=200 -c timezone=UTC"
    )
    if not durable:
        options += " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
    control = [
        *unprivileged,
        binaries / "pg_ctl",
        "-D",
        data,
        "-l",
        data / "log",
        "-w",
        "-t",
        str(int(START_SECONDS)),
    ]
    run([*control, "-o", options, "start"])
    try:
        yield f"postgres://postgres@127.0.0.1:{port}/postgres"
    finally:
        run([*control, "-m", "immediate", "stop"])


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A Redis without persistence."""
    port = free_port()
    server = shutil.which("redis-server") or "/usr/bin/redis-server"
    process = subprocess.Popen(
        [
            *ENDING_WITH_US, server,
            *("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)),
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for_port(port, process)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


def newest_postgresql() -> Path:
    """Folder of initdb and pg_ctl (Debian keeps one a major version)."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        sys.exit("PostgreSQL is missing. Install it with: sudo apt-get install postgresql")
    return found[-1].parent


def as_other_user(data: Path) -> list[str]:
    """PostgreSQL refuses to run as root: hand the folder and the process to its own user."""
    if os.getuid() != 0:
        return []
    account = pwd.getpwnam("postgres")
    os.chown(data, account.pw_uid, account.pw_gid)
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return once something answers on ``port``."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.05)
    sys.exit(f"{process.args!r} did not start.")


def run(command: list[object]) -> None:
    """Run quietly; show the output when it fails."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, cwd="/"
    )
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
