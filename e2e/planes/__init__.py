"""Whole releases on the proxies of several providers: traffic counted at each weight, nobody lost on the way."""
