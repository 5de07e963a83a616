"""The whole pipeline under a virtual clock, from one seed: `python3 dev prove simulate`."""
