"""How long a mail waits."""
