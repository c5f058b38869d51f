"""Forms: labels, help and errors belong to their fields; no field is lost."""

from django import forms
from django.template import Context, Template
from selectolax.lexbor import LexborHTMLParser as HTMLParser

from tests.web.markup import problems_of
from ui.layout import Fieldset, Reveal


class ExampleForm(forms.Form):
    """One field of each kind."""

    name = forms.CharField(help_text="As on the letterhead")
    note = forms.CharField(required=False, widget=forms.Textarea)
    kind = forms.ChoiceField(choices=[("a", "A"), ("b", "B")])
    colours = forms.MultipleChoiceField(
        choices=[("r", "Red"), ("g", "Green")], widget=forms.CheckboxSelectMultiple
    )
    size = forms.ChoiceField(choices=[("s", "Small"), ("l", "Large")], widget=forms.RadioSelect)
    copies = forms.BooleanField(required=False)
    folder = forms.CharField(required=False)
    secret = forms.CharField(widget=forms.PasswordInput)
    hidden = forms.CharField(required=False, widget=forms.HiddenInput)
    forgotten = forms.CharField(required=False)

    layout = (
        Fieldset("Main", ("name", 6), ("kind", 6), "note", "colours", "size", "secret"),
        Fieldset("Copies", Reveal("copies", ("folder", 8))),
    )


def render(form):
    return HTMLParser(Template("{% load ui %}{% form_fields form %}").render(Context({"form": form})))


def test_every_field_is_rendered_once_with_a_label():
    page = render(ExampleForm())
    for name in ExampleForm.base_fields:
        assert page.css(f'[name="{name}"]'), name
    assert problems_of(page.html) == []


def test_a_field_no_fieldset_names_follows_at_the_end():
    assert render(ExampleForm()).css("fieldset")[-1].css_first('[name="forgotten"]')


def test_help_and_errors_are_tied_to_their_field():
    page = render(ExampleForm(data={"size": "x", "colours": ["y"]}))
    field = page.css_first('[name="name"]')
    described = field.attributes["aria-describedby"].split()
    assert field.attributes["aria-invalid"] == "true"
    assert "As on the letterhead" in page.css_first(f"#{described[0]}").text()
    assert page.css_first(f"#{described[1]}").text().strip()
    assert "is-invalid" in field.attributes["class"]
    group = page.css_first("fieldset.choices")
    assert group.attributes["aria-invalid"] == "true"
    assert page.css_first(f"#{group.attributes['aria-describedby'].split()[-1]}").text().strip()
    assert page.css_first('[role="alert"]')
    assert problems_of(page.html) == []


def test_a_dependent_field_stands_in_the_reveal_of_its_switch():
    group = render(ExampleForm()).css_first(".switch-group")
    assert group.css_first('.form-switch > input[name="copies"]')
    assert group.css_first('.reveal [name="folder"]')


def test_what_was_chosen_stays_chosen():
    page = render(ExampleForm(data={"colours": ["g"], "size": "l", "kind": "b", "copies": "on"}))
    chosen = {
        (node.attributes["name"], node.attributes.get("value", "on")) for node in page.css("input[checked]")
    }
    assert chosen == {("colours", "g"), ("size", "l"), ("copies", "on")}
    assert page.css_first("option[selected]").attributes["value"] == "b"


def test_a_password_is_never_written_back():
    page = render(ExampleForm(data={"secret": "canary-secret"}))
    assert "canary-secret" not in page.html


def test_values_are_escaped():
    page = render(ExampleForm(data={"name": '"><img src=x onerror=alert(1)>'}))
    assert page.css_first("img") is None
