"""What the frame of a mail holds (W8, B2, B30–B49 where the document adds to the sanitiser)."""

from __future__ import annotations

import re

import pytest
from django.utils import translation

from mailkit.parsing import parse_message
from tests.tickets.mails import eml, plain
from tickets.models import Attachment, TicketMessage
from tickets.rendering import frame_document, remote_count, text_body

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8
HOSTILE = """<p>Hallo</p><script>alert(1)</script><img src=x onerror=alert(1)>
<a href="java&#9;script:alert(1)">x</a><svg><animate onbegin=alert(1)></svg>
<iframe src="https://evil.example"></iframe><form action="https://evil.example"><input></form>
<base href="https://evil.example/"><meta http-equiv="refresh" content="0;url=https://evil.example">
<style>@import "https://evil.example"</style><link rel=stylesheet href="https://evil.example">
<div style="background:url(https://evil.example/x);position:fixed" id="csrf" name="x" class="btn">y</div>"""


@pytest.fixture
def html_message(ticket):
    """A message that holds this HTML: ``html_message("<p>…</p>")``."""

    def make(html: str, **fields) -> TicketMessage:
        return TicketMessage.objects.create(
            ticket=ticket, kind="incoming", at=ticket.created_at, untrusted_html=html, **fields
        )

    return make


def shown(message: TicketMessage, *, allow_remote: bool = False) -> str:
    return frame_document(
        message, allow_remote=allow_remote, attachment_url=lambda one: f"/inline/{one.position}/"
    )


def policy_of(document: str) -> str:
    return re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', document)[1].replace(
        "&#x27;", "'"
    )


def body_of(document: str) -> str:
    return document.split("<body>")[1].split("</body>", maxsplit=1)[0]


def test_w8_the_document_brings_a_policy_of_its_own_before_anything_else(html_message):
    document = shown(html_message("<p>x</p>"))
    policy = policy_of(document)
    assert "default-src 'none'" in policy
    assert "img-src 'self' data:;" in policy
    assert "script-src" not in policy
    assert document.index("Content-Security-Policy") < document.index("<link")
    assert "<script" not in document
    assert "style=" not in document


def test_t21_remote_pictures_are_let_in_only_when_asked_for(html_message):
    message = html_message(
        '<img src="https://tracker.example/1.gif"><img src="http://tracker.example/2.gif">'
    )
    assert "tracker.example" not in shown(message)
    asked = shown(message, allow_remote=True)
    assert 'src="https://tracker.example/1.gif"' in asked
    assert "2.gif" not in asked
    assert "https:" in policy_of(asked)


def test_b42_the_counting_pixel_is_blocked_and_counted(html_message):
    message = html_message('<p>Hallo</p><img src="https://t.example/p.gif?id=7" width=1 height=1>')
    assert remote_count(message) == 1
    assert "t.example" not in shown(message)
    assert remote_count(html_message("<p>ohne</p>")) == 0


@pytest.mark.parametrize("allow_remote", [False, True])
def test_b30_to_b41_nothing_active_is_left(html_message, allow_remote):
    body = body_of(shown(html_message(HOSTILE), allow_remote=allow_remote))
    for trace in (
        "script",
        "onerror",
        "onbegin",
        "iframe",
        "<form",
        "<base",
        "<meta",
        "style",
        "evil.example",
        "id=",
    ):
        assert trace not in body.lower()
    assert "Hallo" in body


def test_b49_the_sender_cannot_break_out_of_the_document(html_message):
    body = body_of(shown(html_message('</body></html><p title="&quot;><script>">Hallo</p>')))
    assert "<script" not in body
    assert body.count("</html>") == 0


class TestInlinePictures:
    def attach(
        self, message: TicketMessage, position: int, content_type: str, content_id: str = "logo@x"
    ) -> Attachment:
        return Attachment.objects.create(
            message=message, position=position, filename="a", content_type=content_type, size=1,
            content_id=content_id, is_inline=True,
        )  # fmt: skip

    def test_come_from_our_own_url(self, html_message):
        message = html_message('<img src="cid:logo@x" alt="Logo">')
        self.attach(message, 0, "image/png")
        assert 'src="/inline/0/"' in shown(message)

    @pytest.mark.parametrize(
        "content_type", ["text/html", "image/svg+xml", "application/octet-stream", "text/xml"]
    )
    def test_b43_a_cid_that_points_to_anything_else_stays_empty(self, html_message, content_type):
        message = html_message('<img src="cid:logo@x">')
        self.attach(message, 0, content_type)
        assert "/inline/" not in shown(message)

    def test_b43_of_two_parts_with_one_id_the_first_counts(self, html_message):
        message = html_message('<img src="cid:logo@x">')
        self.attach(message, 0, "text/html")
        self.attach(message, 1, "image/png")
        assert "/inline/" not in shown(message)

    def test_cost_no_query_when_the_page_has_read_them(self, html_message, django_assert_num_queries):
        message = html_message('<img src="cid:logo@x">')
        row = self.attach(message, 0, "image/png")
        with django_assert_num_queries(0):
            document = frame_document(
                message, allow_remote=False, attachment_url=lambda one: "/p/", attachments=[row]
            )
        assert 'src="/p/"' in document

    def test_from_a_real_mail(self, import_mail):
        raw = plain(
            "From: a@x.example", "MIME-Version: 1.0", 'Content-Type: multipart/related; boundary="b"',
            body='--b\nContent-Type: text/html\n\n<p>Gruß</p><img src="cid:logo@x">\n--b\n'
            "Content-Type: image/png\n"
            "Content-ID: <logo@x>\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n--b--\n",
        )  # fmt: skip
        message = import_mail(raw)
        assert parse_message(raw).attachments[0].content == b"\x89PNG\r\n\x1a\n"
        assert 'src="/inline/0/"' in shown(message)


class TestQuotations:
    def test_the_quotation_at_the_end_of_html_is_folded(self, html_message):
        body = body_of(
            shown(
                html_message(
                    "<p>Ja.</p><p>Anna schrieb:</p><blockquote>alt<blockquote>älter</blockquote></blockquote>"
                )
            )
        )
        assert body.count("<details>") == 1
        assert body.index("schrieb") < body.index("<details>") < body.index("<blockquote>")
        assert body.rstrip().endswith("</details>")

    @pytest.mark.parametrize(
        "html",
        [
            "<blockquote>nur Zitat</blockquote>",
            "<p>a</p><blockquote>Frage</blockquote><p>Antwort</p>",
            "<p>kein Zitat</p>",
        ],
    )
    def test_answers_among_quotations_stay_open(self, html_message, html):
        assert "<details>" not in shown(html_message(html))

    def test_hostile_nesting_is_left_as_it_is(self, html_message):
        html = "<p>x</p>" + "<blockquote>" * 400 + "y"
        assert "y" in shown(html_message(html))

    def test_the_words_of_an_attribute_are_no_tag(self, html_message):
        body = body_of(
            shown(html_message('<p>x</p><a href="https://x.example/?</blockquote><blockquote>">z</a>'))
        )
        assert "<details>" not in body

    def test_a_plain_text_is_split(self):
        body = text_body("Ja.\n\nAm 24.11.2026 um 10:00 schrieb Anna <a@x.example>:\n> alt\n> älter\n")
        assert body.new == "Ja."
        assert "älter" in body.quoted
        assert body.quoted_lines == 3


class TestPlainText:
    def test_is_escaped_and_its_links_lead_away_safely(self):
        body = text_body('<script>alert(1)</script> siehe https://x.example/a?b=1&c="2". Danke')
        assert "<script" not in body.new
        assert (
            '<a href="https://x.example/a?b=1&amp;c=" target="_blank" rel="noopener noreferrer nofollow">'
            in body.new
        )

    @pytest.mark.parametrize(
        "text", ["javascript:alert(1)", "data:text/html,x", "vbscript:x", "//evil.example"]
    )
    def test_b31_only_web_links_become_links(self, text):
        assert "<a " not in text_body(text).new

    def test_b47_an_imitated_host_is_written_out(self):
        assert "[xn--" in text_body("https://аррӏе.example/login").new

    def test_a_full_stop_is_no_part_of_a_link(self):
        assert 'href="https://x.example"' in text_body("(https://x.example).").new

    def test_b27_five_thousand_links_take_no_time(self):
        assert text_body("https://x.example/a " * 5_000 + "https://" * 5_000).new.count("<a ") >= 5_000

    def test_of_a_mail_without_html_fills_the_frame(self, html_message):
        body = body_of(shown(html_message("", text="Guten <Tag>\n> alt")))
        assert "Guten &lt;Tag&gt;" in body


class TestNothing:
    def test_b2_no_content_says_so(self, html_message):
        with translation.override("en"):
            assert "(no content)" in body_of(shown(html_message("", text=" \n")))
            assert "(no content)" in text_body("").new

    def test_b2_markup_without_content_says_so(self, html_message):
        with translation.override("en"):
            assert "(no content)" in shown(
                html_message("<html><head><title>x</title></head><body><br></body></html>")
            )

    def test_b2_in_german(self, html_message):
        with translation.override("de"):
            assert "(kein Inhalt)" in text_body("").new

    def test_a_picture_is_content(self, html_message):
        with translation.override("en"):
            assert "(no content)" not in shown(html_message('<img src="https://x.example/a.png">'))


def test_a_mail_imported_with_html_is_stored_untouched_and_shown_clean(import_mail):
    message = import_mail(eml(html="<p onclick='x()'>Hallo</p>"))
    assert "onclick" in message.untrusted_html
    assert "onclick" not in shown(message)
