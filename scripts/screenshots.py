"""``make screenshots``: pictures of the main pages, from a demo that this script starts itself."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cockpit.demo.cast import PASSWORD  # noqa: E402  # the repository is not installed
from tests.browser.conftest import ARGUMENTS, CHROMIUM  # noqa: E402
from tests.browser.demo import running_demo  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
# (user, page, file, link to follow from there)
PAGES = (
    ("jana", "/", "start", ""),
    ("jana", "/tickets/", "tickets", ""),
    ("jana", "/tickets/", "ticket", "table a.cell-link >> text=Förderband"),
    ("mailadmin", "/accounts/", "accounts", ""),
    ("mailadmin", "/accounts/", "account", "table a.cell-link >> text=Brandis Service"),
    ("mailadmin", "/outbox/", "outbox", ""),
    ("mailadmin", "/incoming/quarantine/", "quarantine", ""),
)
ARRIVAL_MS = 240_000


def main() -> None:
    """Wait until the quarantine has its mail, the last but one of the samples, then take every picture."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as name,
        running_demo(Path(name) / "demo") as demo,
        sync_playwright() as play,
    ):
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = signed_in(browser, demo.url, "mailadmin", WIDE, "light")
        page.goto(f"{demo.url}/incoming/quarantine/")
        while not page.locator("table.data-table tbody tr").count():
            page.wait_for_timeout(3000)
            page.reload()
        for size, scheme, suffix in (
            (WIDE, "light", ""),
            (WIDE, "dark", "-dark"),
            (PHONE, "light", "-phone"),
        ):
            for user, path, file, link in PAGES:
                page = signed_in(browser, demo.url, user, size, scheme)
                page.goto(f"{demo.url}{path}")
                if link:
                    page.locator(link).first.click()
                page.wait_for_load_state("networkidle")
                page.screenshot(path=IMAGES / f"{file}{suffix}.png")
                page.context.close()
        browser.close()


def signed_in(browser: Browser, url: str, user: str, size: dict[str, int], scheme: str) -> Page:
    """A page of a signed-in user."""
    context = browser.new_context(viewport=size, color_scheme=scheme, locale="de-DE")  # type: ignore[arg-type]  # two plain dictionaries
    page = context.new_page()
    page.goto(f"{url}/login/")
    page.fill("[name=username]", user)
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_load_state()
    return page


if __name__ == "__main__":
    main()
