"""Light curves of one position, seen by two surveys, are joined in any order."""

import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ampelstream.codecs import own
from ampelstream.model.candidate import Candidate
from ampelstream.topology import Topology

from .conftest import T0, Partition

ARCSEC = 1 / 3600
TEXT = """
name: both
version: 1
channels:
  ztf: {follow: none, associate: {radius_arcsec: 1}, units: [{unit: RiseDecline}]}
  lsst: {follow: none, alerts: {survey: lsst}, units: [{unit: RiseDecline}]}
  near: {region: 0.99, window: [0, 10], associate: {radius_arcsec: 2}, units: [{unit: RiseDecline}]}
"""


@pytest.fixture
def both(make_topology: Callable[[str], Topology]) -> Topology:
    return make_topology(TEXT)


@pytest.fixture
def things(make_detection: Callable[..., Any], make_notice: Callable[..., bytes]) -> dict[str, Any]:
    def rubin(name: str, candid: int, dec: float, days: float) -> Any:
        found = make_detection(
            name, candid, T0 + days, 40.0, dec, offset=candid, channels=("lsst",)
        )
        return msgspec.structs.replace(found, survey="lsst")

    return {
        "ztf": make_detection(candid=1, offset=1, channels=("near", "ztf")),
        "ztf later": make_detection(candid=2, jd=T0 + 3, offset=2, channels=("near", "ztf")),
        "close": rubin("99", 11, 0.8 * ARCSEC, 2.0),
        "farther": rubin("98", 12, 1.5 * ARCSEC, 4.0),
        "elsewhere": rubin("97", 13, 5.0 * ARCSEC, 4.0),
        "notice": make_notice(),
    }


def known(partition: Partition) -> dict[tuple[str, str, str], Candidate]:
    return {one.key: one for one in partition.objects.candidates()}


def test_what_lies_within_the_radius_of_the_channel(both: Topology, things: dict[str, Any]) -> None:
    partition = Partition(both)
    partition.take(*things.values())
    found = known(partition)
    alone = found["", "ZTF01", "ztf"]
    assert alone.associated == ("99",)
    assert [point.id for point in alone.lightcurve] == [1, 11, 2]
    assert (alone.ra, alone.dec) == pytest.approx((40.0, 0.0))  # its own position stays
    near = found["SIM230225a", "ZTF01", "near"]
    assert near.associated == ("98", "99")
    assert [point.id for point in near.lightcurve] == [1, 11, 2, 12]
    body = near.result("RiseDecline")
    assert body is not None
    assert body["ndet"] == 4
    assert found["", "99", "lsst"].associated == ()  # it does not ask
    assert own.decode_candidate(own.encode_candidate(near)) == near


def test_any_order_gives_the_same(both: Topology, things: dict[str, Any]) -> None:
    told = set()
    for order in itertools.permutations(things.values()):
        partition = Partition(both)
        last = {one.key: one for one in partition.take(*order) if isinstance(one, Candidate)}
        # what was sent last of each is what is known
        assert {key: _plain(one) for key, one in last.items()} == {
            key: _plain(one) for key, one in known(partition).items()
        }
        told.add(msgspec.json.encode([_plain(one) for one in partition.objects.candidates()]))
    assert len(told) == 1


def _plain(candidate: Candidate) -> Candidate:
    """All but the coordinates of records, which are where the test put them."""
    return msgspec.structs.replace(
        candidate, provenance=msgspec.structs.replace(candidate.provenance, records=())
    )


def test_one_that_moves_away_is_joined_no_longer(
    both: Topology, things: dict[str, Any], make_detection: Callable[..., Any]
) -> None:
    partition = Partition(both)
    partition.take(things["ztf"], things["close"])
    assert known(partition)["", "ZTF01", "ztf"].associated == ("99",)
    away = [
        make_detection("99", n, T0 + n / 10, 40.0, 30 * ARCSEC, offset=n, channels=("lsst",))
        for n in (21, 22, 23)
    ]
    partition.take(*(msgspec.structs.replace(one, survey="lsst") for one in away))
    assert known(partition)["", "ZTF01", "ztf"].associated == ()


def test_objects_of_one_survey_are_not_joined(
    both: Topology, make_detection: Callable[..., Any]
) -> None:
    partition = Partition(both)
    partition.take(
        make_detection("ZTF01", 1, channels=("ztf",)),
        make_detection("ZTF02", 2, offset=1, channels=("ztf",)),
    )
    assert {one.associated for one in known(partition).values()} == {()}


def test_it_survives_a_restart(both: Topology, things: dict[str, Any]) -> None:
    partition = Partition(both)
    partition.take(things["ztf"], things["close"])
    before = known(partition)
    partition.commit()
    partition.reopen()
    assert known(partition) == before
    partition.take(things["ztf later"])
    assert [one.id for one in known(partition)["", "ZTF01", "ztf"].lightcurve] == [1, 11, 2]
