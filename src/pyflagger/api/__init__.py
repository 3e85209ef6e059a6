"""The API: the three kinds, their defaults, names and validation, and the facts that packages exchange."""
