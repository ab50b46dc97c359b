"""`python -m augforge` is the command `augforge`."""

from augforge.cli.app import main

if __name__ == "__main__":
    main()
