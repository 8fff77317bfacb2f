"""`python -m imagepipe`, which is `imagepipe`."""

from imagepipe.cli.run import main

if __name__ == "__main__":
    main()
