"""HTML as readable text."""

from __future__ import annotations

import time

import pytest

from mailkit.html_limits import parsable
from mailkit.html_text import html_to_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Guten Tag,</p><p>danke.</p>", "Guten Tag,\n\ndanke."),
        ("eins<br>zwei<br><br>drei", "eins\nzwei\n\ndrei"),
        ("<div>eins</div><div>zwei</div>", "eins\nzwei"),
        ("<b>fett</b> und\n   <i>kursiv</i>", "fett und kursiv"),
        ("<pre>a\n  b\n\nc</pre>", "a\n  b\n\nc"),
        ('<a href="https://kunde.example/">https://kunde.example</a>', "https://kunde.example"),
        ('<a href="https://kunde.example/x">Angebot</a>', "Angebot <https://kunde.example/x>"),
        ('<a href="mailto:a@b.example">a@b.example</a>', "a@b.example"),
        ('<a href="javascript:alert(1)">x</a>', "x"),
        ("<ol><li>eins<li>zwei</ol>", "- eins\n- zwei"),
        ("<table><tr><th>Artikel<th>Preis<tr><td>M8<td>5 €</table>", "Artikel  Preis\nM8  5 €"),
        ("<blockquote>alt<blockquote>älter</blockquote></blockquote>neu", "> alt\n>\n> > älter\n\nneu"),
        ('<img src="x" alt="Logo"> Text', "Logo Text"),
        ("<style>p{}</style><script>x()</script><title>t</title>Text", "Text"),
        ("a&nbsp;b &amp; &lt;c&gt;", "a b & <c>"),
        ("a<hr>b", "a\n--------------------\nb"),
        ("", ""),
        ("kein HTML", "kein HTML"),
    ],
)
def test_html_to_text(html, text):
    assert html_to_text(html) == text


@pytest.mark.parametrize(
    "html", ["<div>" * 300_000 + "Ende", "<" * 3_000_000, "<b><p>" * 100_000 + "Ende", "<a href=x>" * 100_000]
)
def test_b7_b26_monsters_take_bounded_time(html):
    started = time.perf_counter()
    html_to_text(html)
    assert time.perf_counter() - started < 8


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 15_000,
        "<div>x</div>" * 60_000,
        "<p>x" * 60_000,
        "<style><!-- p > b {} --></style><p class=MsoNormal>Text<o:p></o:p></p>" * 20_000,
        '<td style="color: red; width: 5pt" align=right>x</td>' * 20_000,
        "Text ohne Auszeichnung, 3 < 4. " * 40_000,
    ],
)
def test_plain_documents_are_parsed(html):
    assert parsable(html) is not None


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 25_000,
        "<div><xmp></div></xmp>" * 25_000,
        '<div title="</div>">' * 25_000,
        "<div title='a>b</div>'>" * 25_000,
        '<p a=x" b=" c>' + " d" * 200_000 + ">",
        "<p " + " ".join(f"a{n}=1" for n in range(40_000)) + ">",
        "x" * 2_000_001,
    ],
)
def test_depth_and_width_are_judged_conservatively(html):
    assert parsable(html) is None
