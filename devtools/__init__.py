"""What `dev` does, by the standard library alone."""
