"""The nouns of IT service management: values only, no I/O, no clock, no randomness."""
