"""The losses of single tokens by each framework's own functions, twin files."""
