"""URLs of the room."""

from django.urls import path, register_converter

from tickets.views.conversation import LogFragment, TicketPage
from tickets.views.create import TicketCreatePage
from tickets.views.customer import CustomerCreateView, CustomerPage
from tickets.views.downloads import AttachmentView, InlinePictureView, OriginalView
from tickets.views.listing import TicketListPage
from tickets.views.properties import PropertiesView, StateView, TakeView
from tickets.views.queues import QueueFormPage, QueueListPage
from tickets.views.writing import NoteView, ReplyView


class TicketNumberConverter:
    """A ticket number, ``YYYYMMDD-NNNNN``, as it stands in subjects."""

    regex = r"\d{8}-\d{5,11}"

    def to_python(self, value: str) -> str:
        """The number is text."""
        return value

    def to_url(self, value: str) -> str:
        """The number is text."""
        return value


register_converter(TicketNumberConverter, "ticket_number")

app_name = "tickets"
urlpatterns = [
    path("", TicketListPage.as_view(), name="list"),
    path("new/", TicketCreatePage.as_view(), name="create"),
    path("queues/", QueueListPage.as_view(), name="queue_list"),
    path("queues/new/", QueueFormPage.as_view(), name="queue_create"),
    path("queues/<int:pk>/", QueueFormPage.as_view(), name="queue_edit"),
    path("<ticket_number:number>/", TicketPage.as_view(), name="ticket"),
    path("<ticket_number:number>/log/", LogFragment.as_view(), name="log"),
    path("<ticket_number:number>/reply/", ReplyView.as_view(), name="reply"),
    path("<ticket_number:number>/note/", NoteView.as_view(), name="note"),
    path("<ticket_number:number>/properties/", PropertiesView.as_view(), name="properties"),
    path("<ticket_number:number>/state/", StateView.as_view(), name="state"),
    path("<ticket_number:number>/take/", TakeView.as_view(), name="take"),
    path("<ticket_number:number>/customer/", CustomerPage.as_view(), name="customer"),
    path("<ticket_number:number>/customer/new/", CustomerCreateView.as_view(), name="customer_create"),
    path("<ticket_number:number>/attachments/<int:pk>/", AttachmentView.as_view(), name="attachment"),
    path("<ticket_number:number>/inline/<int:pk>/", InlinePictureView.as_view(), name="inline"),
    path("<ticket_number:number>/messages/<int:pk>/original/", OriginalView.as_view(), name="original"),
]
