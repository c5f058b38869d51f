"""The local mail program: its exit status is the reply, the end of its input the dot."""

import stat
import sys
from pathlib import Path

import pytest

from mailkit.errors import (
    DeliveryError,
    InvalidAddress,
    InvalidArgument,
    PermanentDeliveryError,
    TransientDeliveryError,
    UncertainDelivery,
)
from mailkit.smtp import LocalMailProgram
from tests.mailkit.smtp_sessions import ANNA, BERT, RAW, send

PROGRAM = """#!{python}
import pathlib, sys, time
here = pathlib.Path({directory!r})
(here / "arguments").write_text("\\n".join(sys.argv[1:]))
{early}
content = sys.stdin.buffer.read()
(here / "content").write_bytes(content)
{late}
"""


class Program:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "sendmail"

    def write(self, *, early: str = "", late: str = "", timeout: float = 10.0) -> LocalMailProgram:
        text = PROGRAM.format(python=sys.executable, directory=str(self.directory), early=early, late=late)
        self.path.write_text(text)
        self.path.chmod(stat.S_IRWXU)
        return LocalMailProgram(str(self.path), timeout)

    @property
    def arguments(self) -> list[str]:
        return (self.directory / "arguments").read_text().split("\n")

    @property
    def content(self) -> bytes | None:
        path = self.directory / "content"
        return path.read_bytes() if path.exists() else None


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def test_the_mail_goes_in_with_the_machines_line_ends_and_the_envelope_as_arguments(program: Program):
    with program.write() as transport:
        result = send(transport, ANNA, BERT)
    assert program.arguments == ["-i", "-f", "erp@firma.example", "--", ANNA, BERT]
    assert program.content == RAW.replace(b"\r\n", b"\n")
    assert (result.accepted, result.refused) == ([ANNA, BERT], {})


def test_the_null_sender_is_passed_in_brackets(program: Program):
    send(program.write(), sender="")
    assert program.arguments[:3] == ["-i", "-f", "<>"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (75, TransientDeliveryError),
        (71, TransientDeliveryError),
        (1, TransientDeliveryError),
        (67, PermanentDeliveryError),
        (64, PermanentDeliveryError),
    ],
)
def test_r26_r27_the_exit_status_decides(program: Program, status: int, kind: type[DeliveryError]):
    with pytest.raises(kind) as caught:
        send(program.write(late=f"print('queue is full', file=sys.stderr); sys.exit({status})"))
    assert caught.value.detail == "queue is full"
    assert caught.value.code == f"mail-program-exit-{status}"


def test_when_before_dot_raises_the_program_never_sees_the_end(program: Program):
    with pytest.raises(ZeroDivisionError):
        send(program.write(), before_dot=lambda: 1 / 0)
    assert program.content is None


def test_r23_a_program_that_ends_early_is_transient(program: Program):
    transport = program.write(early="sys.exit(0)")
    with pytest.raises(TransientDeliveryError):
        send(transport, raw=b"x" * 900 + b"\r\n" + (b"y" * 76 + b"\r\n") * 10_000)


def test_r12_a_program_that_reads_nothing_is_given_up(program: Program):
    transport = program.write(early="time.sleep(30)", timeout=0.5)
    with pytest.raises(TransientDeliveryError):
        send(transport, raw=b"x" * 900 + b"\r\n" + (b"y" * 76 + b"\r\n") * 10_000)


def test_r24_a_program_that_dies_or_hangs_after_the_end_is_uncertain(program: Program):
    with pytest.raises(UncertainDelivery):
        send(program.write(late="import os; os.kill(os.getpid(), 9)"))
    with pytest.raises(UncertainDelivery):
        send(program.write(late="time.sleep(30)", timeout=0.5))


def test_a_missing_program_is_transient_and_says_so():
    with pytest.raises(TransientDeliveryError) as caught:
        send(LocalMailProgram("/nonexistent/sendmail"))
    assert caught.value.code == "mail-program-missing"


@pytest.mark.parametrize("address", ["-C/etc/passwd@x.de", "a@b.de\nc@d.de", "a b@c.de", "a"])
def test_t16_hostile_addresses_reach_no_argument(program: Program, address: str):
    transport = program.write()
    for sender, recipient in ((address, ANNA), ("erp@firma.example", address)):
        with pytest.raises((InvalidArgument, InvalidAddress)):
            send(transport, recipient, sender=sender)
    assert not (program.directory / "arguments").exists()
