"""``python -m fpin.action``, the last step of `action.yml`."""

import sys

from fpin.action.step import main

if __name__ == "__main__":
    sys.exit(main())
