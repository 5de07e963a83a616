"""Long proofs, repeatable by seed: `python3 dev prove NAME`."""
