"""From bytes to message."""
