"""The pytest plugin: options, `parity.parametrize`, and a page of what the checks of a session found."""
