"""Fields of the forms people write mail with: recipients as one line of text, and several files at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from mailkit.addresses import Address as Mailbox
from mailkit.addresses import normalise, parse_addresses
from mailkit.building import Attachment as AttachedFile
from mailkit.defects import Defect, Defects
from mailkit.filenames import safe_filename

if TYPE_CHECKING:
    from django.utils.datastructures import MultiValueDict

MAX_RECIPIENTS = 100
MAX_FILES = 20
MAX_TOTAL_BYTES = 25 * 1000 * 1000  # what common providers accept, base64 counted
_SPECIALS = frozenset('()<>[]:;@\\,."')


def as_line(mailboxes: Sequence[Mailbox]) -> str:
    """Mailboxes as a person would type them: ``Carsten Meinhold <c@x.example>, d@x.example``."""
    return ", ".join(_typed(mailbox) for mailbox in mailboxes)


def _typed(mailbox: Mailbox) -> str:
    if not mailbox.name:
        return mailbox.address
    name = mailbox.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}" <{mailbox.address}>' if _SPECIALS & set(name) else f"{name} <{mailbox.address}>"


class RecipientsField(forms.CharField):
    """Addresses separated by commas or semicolons; cleans to a list of :class:`Mailbox`, each once."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.TextInput(attrs={"autocomplete": "off", "inputmode": "email", "spellcheck": "false"})
        super().__init__(**{"widget": widget, "max_length": 10_000, **kwargs})

    def clean(self, value: Any) -> list[Mailbox]:
        """Raises ValidationError naming the entry that is no address."""
        text = super().clean(value)
        defects = Defects()
        # A browser's text field holds one line; what brings line breaks along is not a person typing.
        found = parse_addresses(text, defects) if text.isprintable() else []
        if Defect.INVALID_ADDRESS in defects.codes() or (text and not found):
            raise ValidationError(
                _("%(entry)s is not an e-mail address. Separate several addresses with commas."),
                params={"entry": _first_invalid(text)},
            )
        unique = {normalise(mailbox.address): mailbox for mailbox in reversed(found)}
        if len(unique) > MAX_RECIPIENTS:
            raise ValidationError(_("At most %(limit)s recipients."), params={"limit": MAX_RECIPIENTS})
        return list(reversed(unique.values()))


def _first_invalid(text: str) -> str:
    for entry in text.replace(";", ",").split(","):
        defects = Defects()
        if not parse_addresses(entry, defects) and entry.strip():
            return entry.strip()[:100]
    return text[:100]


class FilesInput(forms.ClearableFileInput):
    """A file input that takes several files."""

    allow_multiple_selected = True
    template_name = "django/forms/widgets/file.html"

    def value_from_datadict(self, data: Any, files: MultiValueDict[str, UploadedFile[Any]], name: str) -> Any:  # noqa: ARG002  # Django's signature
        return files.getlist(name) if hasattr(files, "getlist") else files.get(name)


class FilesField(forms.FileField):
    """Several files; cleans to a list of :class:`AttachedFile`. Caps: number and total size."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, "widget": FilesInput, **kwargs})

    def clean(self, data: Any, initial: Any = None) -> list[AttachedFile]:  # noqa: ARG002  # Django's signature
        """Raises ValidationError beyond the caps."""
        files: list[UploadedFile[Any]] = [file for file in data or [] if file]
        if len(files) > MAX_FILES:
            raise ValidationError(_("At most %(limit)s files."), params={"limit": MAX_FILES})
        if sum(file.size or 0 for file in files) > MAX_TOTAL_BYTES:
            raise ValidationError(
                _("The files are larger than %(limit)s MB together; many mail servers refuse such e-mails."),
                params={"limit": MAX_TOTAL_BYTES // 1_000_000},
            )
        return [_attached(file, position) for position, file in enumerate(files, start=1)]


def _attached(file: UploadedFile[Any], position: int) -> AttachedFile:
    return AttachedFile(
        filename=safe_filename(file.name or "", fallback=f"attachment-{position}"),
        content_type=file.content_type or "application/octet-stream",
        content=file.read(),
    )
