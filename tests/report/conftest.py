"""Made-up events, candidates and sky maps to draw."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import healpy as hp
import numpy as np
import pytest
from numpy.typing import NDArray

from ampelstream.model.candidate import Candidate, CandidateStatus, Provenance, UnitResult
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.event import EventRevision
from ampelstream.model.lightcurve import Datapoint
from ampelstream.report.content import EventReport, ReplayReport, RevisionReport

T0 = 2460324.45798
ORDER = 6


@dataclass(frozen=True)
class BumpMap:
    """A round region around one position, on a flat HEALPix grid of order 6."""

    name: str
    start29: NDArray[np.int64]
    order: NDArray[np.int8]
    level: NDArray[np.float64]
    density: NDArray[np.float64]
    distmean: float | None = 40.0
    diststd: float | None = 8.0

    def credible_levels(
        self, ra: NDArray[np.float64], dec: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        levels: NDArray[np.float64] = self.level[
            hp.ang2pix(1 << ORDER, ra, dec, nest=True, lonlat=True)
        ]
        return levels


def bump_map(ra: float = 197.45, dec: float = -23.38, sigma: float = 5.0) -> BumpMap:
    npix = hp.order2npix(ORDER)
    index = np.arange(npix, dtype=np.int64)
    lon, lat = np.radians(hp.pix2ang(1 << ORDER, index, nest=True, lonlat=True))
    lon0, lat0 = np.radians([ra, dec])
    cosine = np.sin(lat) * np.sin(lat0) + np.cos(lat) * np.cos(lat0) * np.cos(lon - lon0)
    weight = np.exp((cosine - 1) / np.radians(sigma) ** 2)
    weight /= weight.sum()
    best = np.argsort(-weight, kind="stable")
    level = np.empty(npix)
    level[best] = np.cumsum(weight[best])
    return BumpMap(
        name="bump",
        start29=index * 4 ** (29 - ORDER),
        order=np.full(npix, ORDER, dtype=np.int8),
        level=level,
        density=weight * npix / (4 * np.pi),
    )


@pytest.fixture
def make_map() -> Callable[..., BumpMap]:
    return bump_map


@pytest.fixture
def detection() -> Callable[..., Datapoint]:
    def make(days: float, mag: float, fid: int = 1, **more: Any) -> Datapoint:
        given: dict[str, Any] = {"magerr": 0.1, "limmag": 20.9, "ra": 197.45, "dec": -23.38}
        identifier = round(1e6 * days) * 10 + fid
        return Datapoint(id=identifier, jd=T0 + days, fid=fid, mag=mag, **{**given, **more})

    return make


@pytest.fixture
def limit() -> Callable[..., Datapoint]:
    def make(days: float, limmag: float, fid: int = 2) -> Datapoint:
        return Datapoint(id=-round(1e6 * days) * 10 - fid, jd=T0 + days, fid=fid, limmag=limmag)

    return make


def result(
    name: str, body: Mapping[str, Any] | None, *, error: str = "", unit: str = ""
) -> UnitResult:
    return UnitResult(
        name=name,
        unit=unit or name,
        version="3",
        config_hash="c0ffee",
        input_digest="feed",
        body=body,
        error=error,
    )


@pytest.fixture
def make_result() -> Callable[..., UnitResult]:
    return result


@pytest.fixture
def make_candidate(
    detection: Callable[..., Datapoint], limit: Callable[..., Datapoint]
) -> Callable[..., Candidate]:
    def make(object_id: str = "ZTF24aaaaaaa", score: float | None = 9, **more: Any) -> Candidate:
        why = [
            {"part": "probability", "points": 3, "text": "credible level 0.3"},
            {"part": "distance", "points": (score or 0) - 3, "text": "agrees with the map"},
        ]
        body = None if score is None else {"kilonovaness": score, "why": why, "rejects": []}
        given: dict[str, Any] = {
            "event_id": "S240114aj",
            "channel": "kilonova",
            "status": CandidateStatus.ACTIVE,
            "t0_jd": T0,
            "ra": 197.45,
            "dec": -23.38,
            "rank": score,
            "results": (
                result("Redshift", {"redshift": 0.0098, "distance_mpc": 41.3}),
                result("KilonovaScore", body, error="" if body else "no detection"),
            ),
            "lightcurve": (limit(-2.0, 20.4), detection(0.6, 18.2), detection(1.6, 19.1, 2)),
            "provenance": Provenance(
                topology="gw-kilonova",
                topology_version="1.0",
                topology_hash="deadbeef",
                lightcurve_digest="aaaa",
                event_revision="2024-01-14T23:05:24Z-PRELIMINARY",
                event_digest="bbbb",
                alerts=(2570000000000000001,),
                records=(Coordinates("night.parquet", 0, 17),),
            ),
        }
        return Candidate(object_id=object_id, **{**given, **more})

    return make


@pytest.fixture
def make_event() -> Callable[..., EventReport]:
    def make(event_id: str = "S240114aj", *, retracted: bool = False, **more: Any) -> EventReport:
        made = EventRevision(
            event_id=event_id,
            alert_type="PRELIMINARY",
            time_created="2024-01-14T23:05:24Z",
            content_digest="1",
            t0_jd=more.pop("t0_jd", T0),
            significant=True,
            far=1e-9,
            group="CBC",
            pipeline="gstlal",
            search="AllSky",
            classification={"BNS": 0.9, "Terrestrial": 0.1},
        )
        revisions = [RevisionReport(made, 8.8, 30.8, {"kilonova": (4, 3)}, selected=True)]
        if retracted:
            gone = EventRevision(
                event_id=event_id,
                alert_type="RETRACTION",
                time_created="2024-01-15T00:00:00Z",
                content_digest="2",
            )
            revisions.append(RevisionReport(gone, None, None, {}, selected=False))
        skymap = more.pop("skymap", None)
        return EventReport(event_id, revisions, skymap, retracted)

    return make


@pytest.fixture
def make_report() -> Callable[..., ReplayReport]:
    def make(
        events: Sequence[EventReport] = (), candidates: Sequence[Candidate] = (), **more: Any
    ) -> ReplayReport:
        given: dict[str, Any] = {
            "topology_name": "gw-kilonova",
            "topology_version": "1.0",
            "topology_hash": "deadbeef",
            "description": "Candidates in sky maps.",
            "summary": {
                "alerts": {
                    "records_in": 849,
                    "decoded": 847,
                    "duplicates": 3,
                    "accepted": 61,
                    "rejected": {"drb": 783},
                    "dead_letters": 2,
                },
                "notices": {"records_in": 30, "decoded": 30, "duplicates": 0, "dead_letters": 0},
                "channels": {
                    "kilonova": {
                        "accepted": 61,
                        "duplicates": 3,
                        "rejected": {"drb": 700, "galPlane": 83},
                        "candidates": {"active": 2, "outside": 1, "retracted": 0},
                    }
                },
                "events": [],
                "reactions": {},
            },
            "simulated": False,
            "ranking": {"kilonova": ("KilonovaScore.kilonovaness", False)},
        }
        return ReplayReport(events=events, candidates=candidates, **{**given, **more})

    return make
