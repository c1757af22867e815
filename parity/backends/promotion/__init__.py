"""What a model computes in float32 on purpose, in float64: of torch, which asks for it operation by operation."""
