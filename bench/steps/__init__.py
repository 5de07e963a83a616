"""Where the processor time of a mail goes."""
