"""The words of the domain: the three kinds, their defaults, names and validation, and the facts that rooms exchange."""
