"""``python -m ampelstream``."""

from ampelstream.cli.main import main

main()
