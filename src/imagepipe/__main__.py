"""`python -m imagepipe`, which is `imagepipe`."""

from imagepipe.cli.commands import main

if __name__ == "__main__":
    main()
