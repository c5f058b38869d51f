"""What a ticket's mails carry: attachments to save, pictures shown inside a mail, the original bytes (W13).

The right to the ticket is checked at every request; what does not belong to that ticket does not exist.
"""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from archive.models import RawMail
from audit import services as audit
from masterdata import roles
from tickets import attachments
from tickets.conversation import may_read_originals
from tickets.models import Attachment, Ticket
from tickets.views.base import TicketMixin


class _DownloadView(TicketMixin):
    """Finds the attachment of the URL within the ticket of the URL."""

    def find_attachment(self, ticket: Ticket) -> Attachment:
        """Raises Http404 for the attachment of another ticket."""
        found = Attachment.objects.filter(message__ticket=ticket, pk=self.kwargs["pk"]).first()
        if found is None:
            raise Http404
        return found

    def content_of(self, attachment: Attachment) -> bytes:
        """Its bytes. Raises Http404 when the stored mail does not hold what the row describes."""
        try:
            return attachments.read(attachment)
        except attachments.AttachmentMissing:
            raise Http404 from None


class AttachmentView(_DownloadView):
    """Save an attachment."""

    def get(self, _request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """The file, always as a download."""
        attachment = self.find_attachment(self.read_ticket())
        return HttpResponse(self.content_of(attachment), headers=attachments.download_headers(attachment))


class InlinePictureView(_DownloadView):
    """A picture of a mail, for the frame that shows it; only raster pictures are ever shown (B43, B56)."""

    def get(self, _request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """The picture. The page around it has been recorded as read already."""
        attachment = self.find_attachment(self.find_ticket())
        content = self.content_of(attachment)
        headers = attachments.inline_headers(attachment, content)
        if headers is None:
            raise Http404
        return HttpResponse(content, headers=headers)


class OriginalView(TicketMixin):
    """The mail as it came, byte for byte."""

    def get(self, _request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Hand it out to the mailbox's owner, and to the superuser with an entry in the audit record."""
        ticket = self.find_ticket()
        raw = RawMail.objects.filter(
            ticket_messages__ticket=ticket, ticket_messages=self.kwargs["pk"]
        ).first()
        if raw is None or not may_read_originals(ticket, self.user):
            raise Http404
        if roles.is_superuser(self.user):
            audit.record(action="ticket.original_read", obj=ticket, by=self.user)
        name = f"{ticket.number}-{self.kwargs['pk']}.eml"
        headers = {
            "Content-Type": "message/rfc822",
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        return HttpResponse(raw.content_bytes, headers=headers)
