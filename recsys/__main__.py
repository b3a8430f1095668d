"""`python -m recsys`, which is the command `recsys`."""

from recsys.cli import main

if __name__ == "__main__":
    main()
