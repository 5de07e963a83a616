"""The one place that loads, judges and applies, in one transaction."""
