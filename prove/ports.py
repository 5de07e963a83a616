"""Free ports for proofs, benches and tests: the demo finds them the same way."""

from triaged.demo.ports import free_ports

__all__ = ["free_ports"]
