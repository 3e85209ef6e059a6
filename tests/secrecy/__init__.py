"""Planted secrets, and whether anything that others see repeats one."""
