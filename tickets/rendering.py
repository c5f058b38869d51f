"""Showing a message: sanitised HTML for a sandboxed frame, plain text with links, quotes folded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.safestring import SafeString

from tickets.models import Attachment, TicketMessage


@dataclass(frozen=True, slots=True)
class TextBody:
    """A plain text as safe HTML: what is new, and what it quotes, to be folded."""

    new: SafeString
    quoted: SafeString
    quoted_lines: int


def frame_document(
    message: TicketMessage, *, allow_remote: bool, attachment_url: Callable[[Attachment], str]
) -> str:
    """A whole HTML document for the ``srcdoc`` of a frame sandboxed without scripts, with its own CSP.

    Remote pictures appear only with ``allow_remote`` (the page's own CSP must allow them then, as frames inherit
    it); ``cid:`` pictures come from ``attachment_url``, raster types only.
    """
    raise NotImplementedError


def remote_count(message: TicketMessage) -> int:
    """How many remote pictures the message would load."""
    raise NotImplementedError


def text_body(text: str) -> TextBody:
    """Plain text as escaped HTML with links, split into new text and quotation."""
    raise NotImplementedError
