"""What was found, held against what was accepted."""
