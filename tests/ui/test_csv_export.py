"""CSV: what a mail's sender wrote never runs as a formula in a spreadsheet."""

import csv
import datetime as dt
import io

import pytest
from django.urls import reverse

from masterdata.models import Address
from ui.csv_export import neutralise


@pytest.mark.parametrize(
    "text",
    [
        "=cmd|' /C calc'!A0",
        "@SUM(1+1)*cmd|' /C calc'!A0",
        "+1+1",
        "-2+3",
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        " =1+1",
        "\u00a0=1+1",
        "\ufeff=1+1",
        "\u200b=1+1",
        "＝1+1",
    ],
)
def test_b59_formulas_become_text(text):
    assert neutralise(text) == f"'{text}"


@pytest.mark.parametrize(
    ("value", "cell"), [("a=b", "a=b"), (-3, "-3"), (None, ""), (True, "True"), ("", ""), (1.5, "1.5")]
)
def test_b59_what_is_no_formula_stays(value, cell):
    assert neutralise(value) == cell


def test_times_are_written_in_berlin_time():
    assert neutralise(dt.datetime(2026, 11, 24, 6, 52, tzinfo=dt.UTC)) == "2026-11-24 07:52:00"


def test_b59_the_export_of_a_list_is_neutralised(client, mail_administrator):
    Address.objects.create(number="1", name='=HYPERLINK("http://evil.example";"Rechnung")', city='"; =1+1')
    client.force_login(mail_administrator)
    response = client.get(reverse("masterdata:address_list"), {"format": "csv"})
    body = b"".join(response.streaming_content).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(body), delimiter=";"))
    assert response["Content-Disposition"] == 'attachment; filename="addresses.csv"'
    assert rows[1][1].startswith("'=HYPERLINK")
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "@", "+", "-"))]


def test_the_export_holds_all_matching_rows_not_one_page(client, mail_administrator):
    Address.objects.bulk_create(
        Address(number=str(n), name=f"N{n}", is_customer=n % 2 == 0) for n in range(120)
    )
    client.force_login(mail_administrator)
    response = client.get(reverse("masterdata:address_list"), {"format": "csv", "role": "customer"})
    lines = b"".join(response.streaming_content).decode().strip().splitlines()
    assert len(lines) == 1 + 60
