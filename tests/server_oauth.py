"""An OAuth provider, private to a test: authorisation, token, revocation and userinfo, rotation and failures.

It speaks TLS to the application and, on ``plain_port``, HTTP to Dovecot, which asks it whose a token is.
"""

import base64
import hashlib
import http.client
import json
import secrets
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from mailaccounts.oauth_providers import Provider
from tests.certificates import Certificate

REDIRECT_URI = "https://erp.firma.example/oauth/callback"
SCOPE = "https://mail.example/"


@dataclass
class _Consent:
    """What somebody agreed to; ``access`` and ``refresh`` are the tokens that are good."""

    identity: str
    challenge: str = ""
    access: set[str] = field(default_factory=set)
    refresh: set[str] = field(default_factory=set)
    everything: set[str] = field(default_factory=set)


class OAuthServer:
    """The provider. ``identity`` consents next; the rest are switches that a test turns.

    ``failure``: status and JSON that the token endpoint answers instead. ``lost_replies``: how many of its
    answers are computed and cut off. ``gate`` holds the answers to refreshes until it is set. ``keeps_old``:
    a rotated refresh token stays good, as at Google; else it goes with the rotation.
    """

    def __init__(self, certificate: Certificate) -> None:
        self._certificate = certificate
        self.client_id = "erp-client-4711"
        self.client_secret = "Kanari-Client-Secret-4711"
        self.identity, self.audience, self.is_verified = "", self.client_id, True
        self.lifetime, self.consent_lifetime = 3600, 0
        self.scope: str | None = None
        self.rotates, self.keeps_old = True, True
        self.gives_refresh_token = True
        self.failure: tuple[int, dict[str, str], dict[str, str]] | None = None
        self.lost_replies = 0
        self.gate: threading.Event | None = None
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._consents: list[_Consent] = []
        self._codes: dict[str, _Consent] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> "OAuthServer":
        self._servers = [_Server(self, None), _Server(self, self._certificate.server_context())]
        self.plain_port, self.port = (server.server_address[1] for server in self._servers)
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.05,)) for server in self._servers
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join(5)

    @property
    def provider(self) -> Provider:
        """What the application is told of this provider; its mail servers are on ``localhost``."""
        base = f"https://localhost:{self.port}"
        return Provider(
            authorisation_url=f"{base}/authorise",
            token_url=f"{base}/token",
            revocation_url=f"{base}/revoke",
            mail_scopes=(SCOPE,),
            identity_scopes=("openid", "email"),
            identity_claim="email",
            mail_hosts=frozenset({"localhost"}),
            parameters={"access_type": "offline"},
        )

    def count(self, grant_type: str) -> int:
        """Return how often the token endpoint was asked for this."""
        return sum(fields.get("grant_type") == grant_type for _path, fields in self.requests)

    def consent(self, url: str) -> dict[str, str]:
        """Agree as ``identity`` in a browser; return what it brings back to the application."""
        parts = urlsplit(url)
        context = ssl._create_unverified_context()
        browser = http.client.HTTPSConnection("localhost", self.port, context=context)
        browser.request("GET", f"{parts.path}?{parts.query}")
        answer = browser.getresponse()
        assert answer.status == 302, answer.read()
        location = answer.getheader("Location") or ""
        browser.close()
        assert location.startswith(REDIRECT_URI)
        return dict(parse_qsl(urlsplit(location).query))

    def revoke_everything(self) -> None:
        """The user has changed the password, or withdrawn access."""
        for consent in self._consents:
            consent.access.clear()
            consent.refresh.clear()

    def expire_access_tokens(self) -> None:
        """All access tokens have reached their end."""
        for consent in self._consents:
            consent.access.clear()

    def all_tokens(self) -> set[str]:
        """Return every token and code ever given out."""
        return {token for consent in self._consents for token in consent.everything}

    # the endpoints

    def authorise(self, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Ask for consent, which is given at once."""
        is_right = (
            query.get("response_type") == "code"
            and query.get("client_id") == self.client_id
            and query.get("redirect_uri") == REDIRECT_URI
            and query.get("code_challenge_method") == "S256"
        )
        if not is_right:
            return 400, {}, b"{}"
        consent = _Consent(self.identity, query["code_challenge"])
        code = "Kanari-code-" + secrets.token_urlsafe(24)
        consent.everything.add(code)
        self._consents.append(consent)
        self._codes[code] = consent
        answer = urlencode({"code": code, "state": query["state"]})
        return 302, {"Location": f"{REDIRECT_URI}?{answer}"}, b""

    def token(self, fields: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Redeem a code, or refresh."""
        self.requests.append(("/token", fields))
        if self.gate and fields.get("grant_type") == "refresh_token":
            self.gate.wait(20)
        if self.failure:
            status, answer, headers = self.failure
            return status, headers, json.dumps(answer).encode()
        if (fields.get("client_id"), fields.get("client_secret")) != (self.client_id, self.client_secret):
            return 401, {}, b'{"error": "invalid_client"}'
        with self._lock:
            consent = self._redeem(fields)
            if consent is None:
                return 400, {}, b'{"error": "invalid_grant", "error_description": "Token has been revoked."}'
            return 200, {}, json.dumps(self._grant(consent, fields)).encode()

    def _redeem(self, fields: dict[str, str]) -> _Consent | None:
        if fields["grant_type"] == "authorization_code":
            consent = self._codes.pop(fields["code"], None)
            digest = hashlib.sha256(fields["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            is_right = fields["redirect_uri"] == REDIRECT_URI and consent and consent.challenge == challenge
            return consent if is_right else None
        return next((c for c in self._consents if fields["refresh_token"] in c.refresh), None)

    def _grant(self, consent: _Consent, fields: dict[str, str]) -> dict[str, object]:
        access = "Kanari-access-" + secrets.token_urlsafe(24)
        consent.access.add(access)
        answer: dict[str, object] = {
            "access_token": access, "token_type": "Bearer", "expires_in": self.lifetime,
            "id_token": self._id_token(consent),
        }  # fmt: skip
        is_first = fields["grant_type"] == "authorization_code"
        if self.gives_refresh_token and (is_first or self.rotates):
            refresh = "Kanari-refresh-" + secrets.token_urlsafe(24)
            if not self.keeps_old:
                consent.refresh.clear()
            consent.refresh.add(refresh)
            answer["refresh_token"] = refresh
        if self.consent_lifetime:
            answer["refresh_token_expires_in"] = self.consent_lifetime
        if self.scope is not None:
            answer["scope"] = self.scope
        consent.everything |= {
            str(answer[name]) for name in ("access_token", "refresh_token") if name in answer
        }
        return answer

    def _id_token(self, consent: _Consent) -> str:
        claims = {"aud": self.audience, "email": consent.identity, "email_verified": self.is_verified}
        parts = [
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims)
        ]
        return ".".join([*parts, "c2lnbmF0dXJl"])

    def revoke(self, fields: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Withdraw the consent that the token belongs to (RFC 7009)."""
        self.requests.append(("/revoke", fields))
        for consent in self._consents:
            if fields.get("token") in consent.everything:
                consent.access.clear()
                consent.refresh.clear()
        return 200, {}, b"{}"

    def userinfo(self, token: str) -> tuple[int, dict[str, str], bytes]:
        """Say whose token this is."""
        owner = next((c.identity for c in self._consents if token in c.access), None)
        if owner is None:
            return 401, {}, b'{"error": "invalid_token"}'
        return 200, {}, json.dumps({"email": owner, "active": "true"}).encode()

    def introspect(self, token: str) -> tuple[int, dict[str, str], bytes]:
        """Say whose token this is, or that it is none (RFC 7662 §2.2): what Dovecot tells from a fault."""
        status, headers, body = self.userinfo(token)
        return 200, headers, body if status == 200 else b'{"active": "false"}'

    def loses_reply(self) -> bool:
        """Tell whether this answer is to be cut off, and count it."""
        self.lost_replies -= 1
        return self.lost_replies >= 0


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, provider: OAuthServer, context: ssl.SSLContext | None) -> None:
        self.provider, self._context = provider, context
        super().__init__(("127.0.0.1", 0), _Endpoint)

    def finish_request(self, request, client_address) -> None:
        # The handshake belongs into the connection's own thread.
        if self._context:
            request = self._context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address) -> None:
        """A client that leaves is no error of the test."""


class _Endpoint(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/authorise":
            self._answer(self.server.provider.authorise(dict(parse_qsl(parts.query))))
        else:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            provider = self.server.provider
            tell = provider.introspect if parts.path == "/introspect" else provider.userinfo
            self._answer(tell(token))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        fields = {name: values[0] for name, values in parse_qs(body).items()}
        provider = self.server.provider
        endpoints: dict[str, Callable[[dict[str, str]], tuple[int, dict[str, str], bytes]]] = {
            "/token": provider.token, "/revoke": provider.revoke
        }  # fmt: skip
        answer = endpoints[self.path](fields)
        if not provider.loses_reply():
            self._answer(answer)

    def _answer(self, answer: tuple[int, dict[str, str], bytes]) -> None:
        status, headers, body = answer
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Tests read no access log."""
