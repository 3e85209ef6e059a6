"""The whole operator on virtual time, against scripted answers. `flagger rehearse` and the tests' stage run on it."""
