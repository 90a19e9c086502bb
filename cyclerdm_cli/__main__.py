"""`python -m cyclerdm_cli` is the command `cyclerdm`."""

from cyclerdm_cli.app import main

if __name__ == "__main__":
    main()
