"""``ampelstream demo``: the real workflow on a simulated night; no data, no network."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option(help="Directory for the night and the outputs.")] = Path(
        "demo-output"
    ),
    alerts: Annotated[int, typer.Option(min=100, help="Roughly how many alerts.")] = 3000,
    seed: Annotated[int, typer.Option(help="Another seed, another night.")] = 170817,
) -> None:
    """Simulate a night with a neutron-star merger and find its kilonova.

    Everything is made up by our own code, except AT2017gfo, which follows its published photometry.
    """
    from ampelstream.cli.replay import Piped, finish, run_replay
    from ampelstream.cli.workflow import open_inputs, open_topology
    from ampelstream.simulate import simulate_night
    from ampelstream.sky.catalogs.builder import build
    from ampelstream.sky.catalogs.sourcetable import read_table

    typer.echo("Simulated data: no telescope saw this night.", err=True)
    night = simulate_night(out / "night", seed=seed, alerts=alerts)
    root = out / "catalogs"
    build(root, "GLADE+", read_table(night.galaxies), replace=True)
    spec, built = open_topology("kilonova", root)
    sources = open_inputs([night.alerts], [night.notices])
    paths = [night.alerts, night.notices]
    result = run_replay(
        built, sources, out, spec.description, speed=None, simulated=True, paths=paths
    )
    typer.echo("Simulated data: no telescope saw this night.", err=True)
    finish(result.report, out, 10, piped=Piped.TABLE, times=result.times)
