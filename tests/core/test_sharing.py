"""Candidates that are listed share their equal parts, and stay what they were."""

from ampelstream.core.sharing import Sharing
from ampelstream.model.candidate import Candidate, CandidateStatus, Provenance, UnitResult
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.lightcurve import Datapoint


def candidate(name: str, ra: float) -> Candidate:
    own = "{}".format  # makes a text of its own each time
    return Candidate(
        object_id=name,
        event_id=own("S1"),
        channel="sky",
        status=CandidateStatus.ACTIVE,
        provenance=Provenance(
            *(own("topology"), "1", "hash", name, "revision", "digest"),
            alerts=(1,),
            records=(Coordinates(own("alerts.tar"), 0, 7),),
        ),
        results=(UnitResult("Score", "Score", "1", "config", name, body={"score": 1}),),
        lightcurve=(
            Datapoint(id=-5, jd=2458000.5, fid=1, limmag=20.5),
            Datapoint(id=5, jd=2458001.5, fid=1, mag=19.0, magerr=0.1, ra=ra, dec=1.0),
        ),
    )


def test_equal_parts_are_held_once() -> None:
    given = [candidate("a", 0.0), candidate("b", 0.0)]
    first, second = map(Sharing(), given)
    assert [first, second] == given
    assert all(one is other for one, other in zip(first.lightcurve, second.lightcurve, strict=True))
    assert first.provenance.topology is second.provenance.topology
    assert first.provenance.records[0].source is second.provenance.records[0].source
    assert first.event_id is second.event_id


def test_the_sign_of_a_zero_is_kept() -> None:
    first, second = map(Sharing(), [candidate("a", 0.0), candidate("b", -0.0)])
    assert str(first.lightcurve[1].ra) == "0.0"
    assert str(second.lightcurve[1].ra) == "-0.0"
