"""The losses of single tokens by each framework's own functions, and a user's loss of given outputs; twin files."""
