"""Two arrays -> a verdict: divergence, the precision square, every tolerance there is. NumPy only."""
