"""The reference operator as a judge of ours."""
