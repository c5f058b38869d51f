"""Entries of master data in the navigation, and its pages of settings."""

from django.utils.translation import gettext_lazy as _

from masterdata import access, roles
from ui import navigation, settings_pages
from ui.navigation import NavItem
from ui.settings_pages import SettingsPage

navigation.register(
    NavItem(
        label=_("Addresses"),
        icon="people",
        url_name="masterdata:address_list",
        group="",
        order=30,
        may_see=access.may_use_addresses,
    )
)
navigation.register(
    NavItem(
        label=_("Settings"),
        icon="sliders",
        url_name="masterdata:settings",
        group="end",
        order=90,
        may_see=access.may_open_settings,
        covers=settings_pages.covers,
    )
)

settings_pages.register(
    SettingsPage(
        label=_("Basic settings"),
        description=_("Company name, particulars for mail footers, main address"),
        icon="brand",
        url_name="masterdata:company",
        order=10,
        may_see=roles.is_mail_administrator,
    )
)
settings_pages.register(
    SettingsPage(
        label=_("Projects"),
        description=_("Name, key and preferred sender address"),
        icon="folder",
        url_name="masterdata:project_list",
        order=20,
        may_see=roles.is_mail_administrator,
    )
)
settings_pages.register(
    SettingsPage(
        label=_("Employees"),
        description=_("Who works here, their own addresses and substitutions"),
        icon="people",
        url_name="masterdata:employee_list",
        order=30,
        may_see=roles.is_mail_administrator,
    )
)
settings_pages.register(
    SettingsPage(
        label=_("Users"),
        description=_("Who may sign in, with which roles"),
        icon="key",
        url_name="masterdata:user_list",
        order=40,
        may_see=roles.is_superuser,
    )
)
settings_pages.register(
    SettingsPage(
        label=_("Record of changes"),
        description=_("Who changed what, when and from where"),
        icon="clock",
        url_name="masterdata:audit",
        order=90,
        may_see=access.may_read_audit,
    )
)
