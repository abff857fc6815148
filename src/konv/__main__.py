"""`python -m konv` is the konv command."""

import sys

from konv.app.cli import main

sys.exit(main())
