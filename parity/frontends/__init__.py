"""The two ways in: the command line and the pytest plugin, with one configuration."""
