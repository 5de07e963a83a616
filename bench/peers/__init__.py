"""Other help desks, from PyPI, as a user runs them: each acknowledges every mail by SMTP."""
