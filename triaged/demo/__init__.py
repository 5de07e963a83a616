"""The demonstration: a daemon of its own, sample mails and alerts, and what became of them."""
