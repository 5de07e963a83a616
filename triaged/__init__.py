"""The composition root: command line, configuration, wiring and supervision of workers."""

__version__ = "0.1.0"
