"""Set-ups of users that once lost visitors, overwrote objects or got stuck; each file of this room is one of them."""
