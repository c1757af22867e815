"""Many checks of pairs, seeds and environments, spread over the workers of a Dask cluster; killed, it goes on.

units         what there is to do: a grid of checks, pairs, seeds and environments, and each unit's number
work          one unit, on a worker
cluster       the workers, here or elsewhere, an interpreter each environment
drive         units given out a few at a time, and their results as they come
results_file  the results as JSON lines, to which a killed sweep comes back
summary       what they come to
"""
