"""Decisions: from everything known about one release to what to do next. Pure and total; no I/O, no clock."""
