"""All rows of all rooms."""

from tests.web import (
    table_cockpit,
    table_inbound,
    table_mailaccounts,
    table_masterdata,
    table_outbound,
    table_tickets,
)

# The order in which they prepare their objects: lower rooms first.
TABLES = (
    table_masterdata,
    table_mailaccounts,
    table_outbound,
    table_tickets,
    table_inbound,
    table_cockpit,
)
ROWS = [row for table in TABLES for row in table.ROWS]
