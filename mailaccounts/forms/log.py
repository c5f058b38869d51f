"""The section *Log* has nothing to fill in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

from mailaccounts.models import MailAccount

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


class LogForm(forms.ModelForm[MailAccount]):
    """A form without fields, because a section has one."""

    class Meta:
        model = MailAccount
        fields: tuple[str, ...] = ()

    def __init__(self, *, owner: MailAccount, user: AbstractBaseUser, **kwargs: Any) -> None:
        self.user = user
        super().__init__(instance=owner, **kwargs)
