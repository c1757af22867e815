"""The two ways in: the command line and the pytest plugin, with one configuration.

`cli/` has a file a verb, which reads its options, calls `parity.api` and prints by `parity.report`; `pytest_plugin/`
makes a test of each check; `sweep/` spreads many checks over a cluster. `config` is [tool.parity] of pyproject.toml,
`targets` finds a pair by its name, `ported` and `settings` serve `parity port`, and `modules` says what a missing
module means.
"""
