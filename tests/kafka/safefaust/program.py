"""A scenario in a process of its own: Faust keeps global state, and so do its compiled parts.

Called as ``python -m tests.kafka.safefaust.program``, with SCENARIO VARIANT ADDRESS NAME DIRECTORY
PARAMS; the last line that it writes is its result.
"""

import asyncio
import importlib
import json
import logging
import sys
from pathlib import Path


def main(scenario: str, variant: str, address: str, name: str, directory: str, told: str) -> None:
    """Run a scenario; ``module.function`` of this folder."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s"
    )
    if variant == "stock":
        import faust  # noqa: F401, PLC0415  (before ours, which switches its compiled loop off)
    from tests.kafka.safefaust.variants import Setup, finish  # noqa: PLC0415  (after that)

    setup = Setup(variant, address, name, Path(directory), json.loads(told))
    module, function = scenario.split(".")
    play = getattr(importlib.import_module(f"tests.kafka.safefaust.{module}"), function)

    async def whole() -> None:
        finish(await play(setup))  # no orderly end: threads of a crashed Faust would not have one

    asyncio.run(whole())


if __name__ == "__main__":
    main(*sys.argv[1:])
