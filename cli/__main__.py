"""`python -m cli` is `darts-tf`."""

import sys

from cli.main import main

sys.exit(main())
