"""All rows of all rooms."""

from tests.web import table_masterdata

TABLES = (table_masterdata,)
ROWS = [row for table in TABLES for row in table.ROWS]
