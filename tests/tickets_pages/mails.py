"""Mails with parts, as raw bytes."""

from __future__ import annotations

import base64

from tests.tickets_pages.conftest import letter

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def part(content: bytes, *, content_type: str, disposition: str, more: str = "") -> str:
    """One MIME part in base64."""
    encoded = base64.encodebytes(content).decode().replace("\n", "\r\n")
    return (
        f"--b\r\nContent-Type: {content_type}\r\nContent-Disposition: {disposition}\r\n{more}"
        f"Content-Transfer-Encoding: base64\r\n\r\n{encoded}"
    )


def with_parts(*parts: str, text: str = "Siehe Anhang.", html: str = "", **kwargs: str) -> bytes:
    """A mail with a text (or HTML) and further parts."""
    kind, body = ("html", html) if html else ("plain", text)
    first = f"--b\r\nContent-Type: text/{kind}; charset=utf-8\r\n\r\n{body}\r\n"
    whole = f"{first}{''.join(parts)}--b--\r\n"
    return letter(
        whole,
        content_type='multipart/related; boundary="b"' if html else 'multipart/mixed; boundary="b"',
        **kwargs,
    )


def with_attachment(
    content: bytes = b"%PDF-1.4 Typenschild",
    *,
    name: str = "Typenschild.pdf",
    content_type: str = "application/pdf",
    **kwargs: str,
) -> bytes:
    """A mail with one attachment."""
    return with_parts(
        part(content, content_type=content_type, disposition=f'attachment; filename="{name}"'), **kwargs
    )


def html_letter(html: str, **kwargs: str) -> bytes:
    """A mail in HTML only."""
    return letter(html, content_type="text/html; charset=utf-8", **kwargs)
