"""Speed as ratios, side by side in one run: `python3 dev bench`."""
