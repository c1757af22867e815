"""Equal pairs of models as people write them, by family: whatever parity says against one of them is a false alarm."""
