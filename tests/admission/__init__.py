"""What an API server accepts: the types of the built-in kinds, decoding, defaults and validation."""
