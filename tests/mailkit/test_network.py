"""Which addresses may be dialled, whatever a form says (T12, W11)."""

import ipaddress
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailkit import network
from mailkit.errors import (
    ConnectionFailed,
    ConnectionRefused,
    ConnectionTimeout,
    HostNotAllowed,
    HostNotFound,
    InvalidArgument,
)
from mailkit.network import NetworkPolicy, VettedAddress, ascii_host, dial, resolve
from tests.fixtures_mail import ANY_PORT
from tests.servers import free_port

PUBLIC = NetworkPolicy.from_strings(["public"], ports=ANY_PORT)
LAN = NetworkPolicy.from_strings(
    ["public", "10.0.0.0/8", "fd12:3456::/32"], ports=ANY_PORT, plaintext=["10.1.0.0/16"]
)
LOOPBACK = NetworkPolicy.from_strings(["loopback"], ports=ANY_PORT)

NOT_PUBLIC = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:0a00:0001::1",
    "2001:0:4136:e378::1",
    "2001:db8::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "100::1",
]


@pytest.mark.parametrize("ip", NOT_PUBLIC)
def test_t12_w11_no_inner_address_is_public(ip: str):
    assert not PUBLIC.is_allowed(ip)


@pytest.mark.parametrize(
    "ip", ["8.8.8.8", "142.250.74.110", "2a00:1450:4001:80b::200e", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_t12_public_addresses_are_allowed_until_the_word_is_missing(ip: str):
    assert PUBLIC.is_allowed(ip)
    assert not LOOPBACK.is_allowed(ip)


@pytest.mark.parametrize("ip", ["10.1.2.3", "::ffff:10.1.2.3", "fd12:3456::25"])
def test_t12_the_companys_network_is_allowed_once_it_is_listed(ip: str):
    assert LAN.is_allowed(ip)
    assert not LAN.is_allowed("192.168.0.1")


def test_t12_some_addresses_are_never_allowed_whatever_is_listed():
    everything = NetworkPolicy.from_strings(["public", "0.0.0.0/0", "::/0"], ports=ANY_PORT)
    never = "169.254.169.254 100.64.0.1 100.100.100.200 fe80::1 224.0.0.1 0.0.0.0 :: 127.0.0.1 ::1"
    for ip in never.split():
        assert not everything.is_allowed(ip), ip
    assert everything.is_allowed("192.168.3.4")


def test_t12_loopback_needs_its_own_word():
    assert LOOPBACK.is_allowed("127.0.0.1")
    assert LOOPBACK.is_allowed("::1")
    assert LOOPBACK.is_allowed("::ffff:127.0.0.1")
    assert not LAN.is_allowed("127.0.0.1")


@given(st.ip_addresses(v=4))
def test_t12_wrapping_an_ipv4_address_changes_no_answer(ip: ipaddress.IPv4Address):
    for wrapped in (
        f"::ffff:{ip}",
        f"64:ff9b::{ip}",
        str(ipaddress.IPv6Address((0x2002 << 112) | (int(ip) << 80))),
    ):
        assert LAN.is_allowed(wrapped) == LAN.is_allowed(str(ip))


@given(st.ip_addresses())
def test_t12_what_is_public_is_global_unicast(ip: network.IPAddress):
    if PUBLIC.is_allowed(ip):
        inner = network.unwrap(ip)
        assert inner.is_global
        assert not any((inner.is_multicast, inner.is_link_local, inner.is_loopback, inner.is_unspecified))


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "localhost",
        "0",
    ],
)
def test_w11_every_spelling_of_loopback_is_refused(host: str):
    with pytest.raises(HostNotAllowed):
        resolve(host, 993, PUBLIC, 5)


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "100.64.0.1", "[64:ff9b::7f00:1]"])
def test_w11_inner_literals_are_refused(host: str):
    with pytest.raises(HostNotAllowed):
        resolve(host, 993, LAN, 5)


@pytest.fixture(autouse=True)
def fresh_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What DNS said to other tests is forgotten."""
    monkeypatch.setattr(network, "_kept", {})


def resolving_to(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Stand in for DNS, the one thing a test cannot run for real: each look-up takes the next answer."""
    remaining, asked = list(answers), []

    def getaddrinfo(host: str, port: int, **_options: object) -> list[tuple]:
        asked.append(host)
        ips = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        return [
            (socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))
            for ip in ips
        ]

    monkeypatch.setattr(network.socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize(
    "ips",
    [
        ["8.8.8.8", "127.0.0.1"],
        ["::ffff:10.0.0.1"],
        ["10.0.0.1"],
        ["2a00:1450::1", "fe80::1%eth0"],
        ["169.254.169.254"],
    ],
)
def test_w11_a_name_with_one_inner_address_is_refused_like_nip_io(
    monkeypatch: pytest.MonkeyPatch, ips: list[str]
):
    resolving_to(monkeypatch, ips)
    with pytest.raises(HostNotAllowed) as caught:
        resolve("10-0-0-1.nip.example", 993, PUBLIC, 5)
    assert ips[-1] not in repr(caught.value)


def test_w11_dns_rebinding_finds_no_second_look_up(monkeypatch: pytest.MonkeyPatch):
    asked = resolving_to(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    addresses = resolve("mail.evil.example", 993, PUBLIC, 5)
    dialled = []

    def create_connection(address: tuple[str, int], timeout: float) -> socket.socket:
        dialled.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(network.socket, "create_connection", create_connection)
    with pytest.raises(ConnectionRefused):
        dial(addresses, 5)
    assert (dialled, asked) == ([("8.8.8.8", 993)], ["mail.evil.example"])
    assert addresses == [VettedAddress("mail.evil.example", 993, ipaddress.ip_address("8.8.8.8"))]


def test_an_answer_of_dns_serves_others_for_a_moment_under_their_own_policy(monkeypatch: pytest.MonkeyPatch):
    asked = resolving_to(monkeypatch, ["10.0.0.1"], ["10.0.0.2"])
    first = resolve("mail.example", 993, LAN, 5)
    assert (resolve("mail.example", 993, LAN, 5), len(asked)) == (first, 1)
    with pytest.raises(HostNotAllowed):
        resolve("mail.example", 993, PUBLIC, 5)
    later = time.monotonic() + network._KEPT_SECONDS
    monkeypatch.setattr(network.time, "monotonic", lambda: later)
    assert [str(one.ip) for one in resolve("mail.example", 993, LAN, 5)] == ["10.0.0.2"]


def test_answers_of_dns_are_kept_for_so_many_names_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(network, "_MOST_KEPT", 2)
    resolving_to(monkeypatch, ["8.8.8.8"])
    for number in range(5):
        resolve(f"mail{number}.example", 993, PUBLIC, 5)
        assert len(network._kept) <= 2


def test_w11_ports_outside_the_list_are_refused_before_dns(monkeypatch: pytest.MonkeyPatch):
    asked = resolving_to(monkeypatch, ["8.8.8.8"])
    policy = NetworkPolicy.from_strings(["public"], ports=[993, 143])
    with pytest.raises(HostNotAllowed) as caught:
        resolve("mail.example", 6379, policy, 5)
    assert caught.value.code == "port_not_allowed"
    assert asked == []


def test_w11_an_inner_address_answers_alike_with_open_and_closed_ports():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        errors = []
        for port in (listener.getsockname()[1], free_port()):
            with pytest.raises(HostNotAllowed) as caught:
                resolve("127.0.0.1", port, PUBLIC, 5)
            errors.append((caught.value.code, str(caught.value)))
    assert errors[0] == errors[1]


@pytest.mark.parametrize(
    "host",
    [
        "",
        "  ",
        "mail example",
        "a\r\nb",
        "a\0b",
        "http://mail",
        "fe80::1%eth0",
        "x" * 64 + ".de",
        "a..b",
        "ä" * 80,
    ],
)
def test_t16_what_is_no_host_name_is_refused(host: str):
    with pytest.raises(InvalidArgument):
        resolve(host, 993, PUBLIC, 5)


def test_names_are_compared_as_dns_writes_them():
    assert ascii_host(" Mail.Müller.DE. ") == "mail.xn--mller-kva.de"
    assert ascii_host("[2A00:1450::1]") == "2a00:1450::1"


def test_an_unknown_name_is_not_found(monkeypatch: pytest.MonkeyPatch):
    def getaddrinfo(*_args: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(network.socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(HostNotFound):
        resolve("gibt-es-nicht.example", 993, PUBLIC, 5)


def test_r12_a_silent_dns_server_is_given_up(monkeypatch: pytest.MonkeyPatch):
    def getaddrinfo(*_args: object, **_options: object) -> list:
        time.sleep(1)
        return []

    monkeypatch.setattr(network.socket, "getaddrinfo", getaddrinfo)
    began = time.monotonic()
    with pytest.raises(ConnectionTimeout):
        resolve("langsam.example", 993, PUBLIC, 0.1)
    assert time.monotonic() - began < 0.8


def test_dialling_falls_back_to_the_next_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        # Nothing listens on 127.0.0.2: the first address refuses.
        addresses = [VettedAddress("x", port, ipaddress.ip_address(ip)) for ip in ("127.0.0.2", "127.0.0.1")]
        with dial(addresses, 5) as sock:
            assert sock.getpeername() == ("127.0.0.1", port)


def test_dialling_tells_refused_from_unreachable():
    with pytest.raises(ConnectionRefused):
        dial([VettedAddress("x", free_port(), ipaddress.ip_address("127.0.0.1"))], 5)
    with pytest.raises(ConnectionFailed):
        dial([], 5)


def test_plain_text_belongs_to_its_own_networks():
    assert LAN.allows_plaintext(ipaddress.ip_address("10.1.0.5"))
    assert LAN.allows_plaintext(ipaddress.ip_address("::ffff:10.1.0.5"))
    assert not LAN.allows_plaintext(ipaddress.ip_address("10.2.0.5"))


@pytest.mark.parametrize("word", ["10.0.0.1/8", "lan", "300.0.0.0/8", "*"])
def test_a_mistake_in_the_environment_is_an_error(word: str):
    with pytest.raises(ValueError):
        NetworkPolicy.from_strings([word], ports=[993])
