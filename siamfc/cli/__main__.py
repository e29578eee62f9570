"""`python -m siamfc.cli`: the command line where no script of it is on the path."""

from siamfc.cli import main

main()
