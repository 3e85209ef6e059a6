"""What reads bytes of others, fed with anything: one property a target, for hypothesis and for coverage-guided runs."""
