"""`python -m darts_tf.cli` is `darts-tf`."""

import sys

from darts_tf.cli.main import main

sys.exit(main())
