"""Revisions of an event: which is the latest, and what they are called."""

from itertools import permutations

from ampelstream.model.event import EventRevision, ExternalCoincidence

GRB = ExternalCoincidence(observatory="Fermi", search="GRB")


def revision(
    kind: str, digest: str, *, created: str = "2018-11-01T22:36:25Z", grb: bool = False
) -> EventRevision:
    external = GRB if grb else None
    return EventRevision("MS181101ab", kind, created, digest, external=external)


def test_within_one_second_the_stage_of_the_event_tells_which_is_later() -> None:
    in_order = [
        revision("UPDATE", "f", created="2018-11-01T22:36:24Z"),
        revision("EARLYWARNING", "9"),
        revision("PRELIMINARY", "8"),
        revision("INITIAL", "7"),
        revision("UPDATE", "5"),
        revision("UPDATE", "6"),
        revision("UPDATE", "4", grb=True),
        revision("RETRACTION", "3"),
        revision("EARLYWARNING", "2", created="2018-11-01T22:36:26Z"),
    ]
    for shuffled in (in_order[::-1], in_order[4:] + in_order[:4]):
        assert sorted(shuffled, key=lambda one: one.key) == in_order
    for one, other in permutations(in_order, 2):
        assert (one.key < other.key) == (in_order.index(one) < in_order.index(other))


def test_no_two_revisions_of_an_event_share_a_name() -> None:
    names = [
        revision("UPDATE", "5f0c9a1e00000000").revision_id,
        revision("UPDATE", "6f0c9a1e00000000").revision_id,
        revision("UPDATE", "5f0c9a1e00000000", grb=True).revision_id,
        revision("INITIAL", "5f0c9a1e00000000").revision_id,
    ]
    assert len(set(names)) == 4
    assert names[0] == "2018-11-01T22:36:25Z-UPDATE-5f0c9a1e"
    assert names[2] == "2018-11-01T22:36:25Z-UPDATE-EXT-5f0c9a1e"
