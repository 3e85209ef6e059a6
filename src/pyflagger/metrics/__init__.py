"""Asking metric systems: queries as data, the template language, and a module a provider. Pure; opens no connection."""
