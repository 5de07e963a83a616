"""Speed as ratios, side by side in one run: `python3 dev bench`.

A *figure* is something measured (`figure.py`). A *row* sets one figure against another (`row.py`). A *subject* is a folder with a
`rows.py` that holds `ROWS`, listed in `subjects.py`. `run.py` measures every figure the asked rows need, in turn, round by round,
so that a noisy minute meets them all; the medians are divided.
"""
