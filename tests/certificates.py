"""A certificate authority of the test run's own, with good and bad certificates."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """Paths of a PEM certificate (with nothing else in it) and of its key."""

    cert_file: str
    key_file: str

    def server_context(self) -> ssl.SSLContext:
        """Return the context of a server that presents this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert_file, self.key_file)
        return context


class CertificateAuthority:
    """Issues certificates into a directory; ``ca_file`` is what a client must trust."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Test CA")
        certificate = _builder(self._name, self._name, self._key, days=30).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.ca_file = str(directory / "ca.pem")
        _write_cert(self.ca_file, certificate.sign(self._key, hashes.SHA256()))

    def issue(self, host: str = "localhost", *, days: int = 10, label: str = "good") -> Certificate:
        """Issue for ``host`` (and for 127.0.0.1 where it is localhost); negative ``days``: expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(host), self._name, key, days=days).add_extension(
            _names_for(host), critical=False
        )
        return self._save(label, builder.sign(self._key, hashes.SHA256()), key)

    def self_signed(self, host: str = "localhost") -> Certificate:
        """Make one that vouches for itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(host), _name(host), key, days=10).add_extension(
            _names_for(host), critical=False
        )
        return self._save("self-signed", builder.sign(key, hashes.SHA256()), key)

    def _save(
        self, label: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> Certificate:
        paths = Certificate(str(self._directory / f"{label}.pem"), str(self._directory / f"{label}.key"))
        _write_cert(paths.cert_file, certificate)
        Path(paths.key_file).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _names_for(host: str) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.DNSName(host)]
    if host == "localhost":
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    return x509.SubjectAlternativeName(names)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
    )


def _write_cert(path: str, certificate: x509.Certificate) -> None:
    Path(path).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
