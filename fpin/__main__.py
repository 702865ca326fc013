"""``python -m fpin``."""

from fpin.cli import main

if __name__ == "__main__":
    main()
