"""Many checks of pairs, seeds and environments, spread over the workers of a Dask cluster; killed, it goes on."""
