"""From the bytes of a mail to a message: total, bounded, never raising (ADR-0004)."""
