"""One module a verb; each has its `command`."""
