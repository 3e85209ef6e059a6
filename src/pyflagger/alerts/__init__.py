"""Alerts to chats and incident systems: one module for each notifier. Pure: does no I/O and reads no clock."""
