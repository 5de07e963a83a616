"""The pure core: a signal, a snapshot and a ruleset give a decision. No I/O, no clock, no randomness."""
