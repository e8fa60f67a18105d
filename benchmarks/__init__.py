"""Side-by-side runs against peers. Each prints ratios and writes what it measured under ``results/``."""
