"""One file a version, oldest first; what is here never changes once released."""
