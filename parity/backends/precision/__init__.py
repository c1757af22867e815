"""What makes a framework build and compute in one dtype, one file a framework."""
