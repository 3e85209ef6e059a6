"""Queries to metric systems: queries as data, the template language, one module per provider. Pure: does no I/O."""
