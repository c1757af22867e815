"""Two builds of one model: linked, given the same weights, run in every precision."""
