"""The apostrophe that keeps a spreadsheet from running a text as a formula: the writer puts it, the reader takes it off."""

from __future__ import annotations

import re

# OWASP, CSV injection: what a cell may not begin with. Full-width signs count too, for spreadsheets read them alike.
ESCAPED = re.compile("'(?=['=+\\-@\t\r\n＝＋－＠])")
