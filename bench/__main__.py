"""python -m bench."""

import sys
from contextlib import suppress
from pathlib import Path

if __name__ == "__main__":  # worker processes import this file too
    with suppress(FileNotFoundError):  # the current folder has been deleted
        if sys.path[0] == str(Path.cwd()) and Path.cwd() != Path(__file__).parents[1]:
            # Last, as for the script `bench`, so that ./search_spaces/__init__.py does not shadow the package.
            sys.path.append(sys.path.pop(0))
    from bench.cli.app import main

    main()
