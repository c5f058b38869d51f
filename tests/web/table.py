"""All rows of all rooms."""

from tests.web import table_inbound, table_mailaccounts, table_masterdata, table_outbound

TABLES = (table_masterdata, table_inbound, table_mailaccounts, table_outbound)
ROWS = [row for table in TABLES for row in table.ROWS]
