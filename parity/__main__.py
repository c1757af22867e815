"""`python -m parity` is the `parity` command."""

from parity.frontends.cli import main

if __name__ == "__main__":
    main()
