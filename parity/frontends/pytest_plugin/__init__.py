"""The pytest plugin: options, `parity.parametrize`, and a page of what the checks of a session found.

`plugin` is what pytest loads, in every session: hooks and options, which import the others when they are needed.
`nodes` makes tests of a pair's checks, and `html` gathers what they found, from all workers, on one page.
"""
