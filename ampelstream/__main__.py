"""``python -m ampelstream``."""

from ampelstream.cli.app import main

main()
