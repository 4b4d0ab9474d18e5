"""IGWN notices of every type, and what is none."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.codecs import igwn, notices
from ampelstream.errors import DecodeError, SkyMapError
from ampelstream.sky.skymap import SkyMap

GOOD: dict[str, Any] = {
    "alert_type": "PRELIMINARY",
    "time_created": "2024-01-14T23:05:24Z",
    "superevent_id": "MS1",
    "urls": {"gracedb": "https://example.org/MS1"},
    "event": {"time": "2024-01-14T22:59:29.900Z", "far": 1e-9, "skymap": "AAAA"},
    "external_coinc": None,
}


def changed(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def test_a_small_notice() -> None:
    notice = igwn.decode(changed())
    digest = notice.revision.content_digest
    assert notice.revision.revision_id == f"2024-01-14T23:05:24Z-PRELIMINARY-{digest[:8]}"
    assert notice.revision.t0_jd == pytest.approx(2460324.457985, abs=1e-6)
    assert notice.skymap == b"\0\0\0"
    assert notice.revision.url == "https://example.org/MS1"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"", "not an IGWN alert"),
        (b"[]", "not an IGWN alert"),
        (changed(alert_type="RUMOUR"), "alert_type"),
        (changed(superevent_id=None), "superevent_id"),
        (changed(superevent_id=""), "superevent_id"),
        (changed(superevent_id="S1\x1b[31m"), "superevent_id"),
        (changed(superevent_id="S" * 257), "superevent_id is 257 characters"),
        (changed(time_created="yesterday"), "time_created"),
        (changed(event=None), "no event"),
        (changed(event={"time": "noon"}), r"event\.time"),
        (changed(event={"time": "2024-01-14T22:59:29Z", "skymap": "###"}), "base64"),
        (changed(event={"time": "2024-01-14T22:59:29Z", "far": "often"}), "far"),
    ],
)
def test_what_is_wrong_is_named(value: bytes, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        igwn.decode(value)


def with_event(**fields: Any) -> bytes:
    return changed(event={**GOOD["event"], **fields})


def test_one_odd_entry_does_not_lose_the_event() -> None:
    properties = {
        "HasNS": 0.9,
        "HasRemnant": True,
        "HasMassGap": False,
        "HasSSM": None,
        "whole": 1,
        "note": "high",
        "deep": {"HasNS": 1.0},
        "many": [1.0],
        "long": 10**400,
    }
    document = with_event(properties=properties, classification={"BNS": "likely", "BBH": 0})
    notice = igwn.decode(document)
    assert notice.revision.properties == {
        "HasNS": 0.9,
        "HasRemnant": 1.0,
        "HasMassGap": 0.0,
        "whole": 1.0,
    }
    assert {type(one) for one in notice.revision.properties.values()} == {float}
    assert notice.revision.classification == {"BBH": 0.0}
    assert notice.remarks == (
        "left out of classification, as no number: BNS (a text)",
        (
            "left out of properties, as no number: note (a text), deep (a mapping), many (a list), "
            "long (a number)"
        ),
    )
    assert igwn.decode(with_event(properties={"HasNS": 1.0, "HasSSM": None})).remarks == ()


@pytest.mark.parametrize(
    ("value", "kind"),
    [([0.9], "a list"), ("high", "a text"), (True, "a truth value"), (0.9, "a number")],
)
def test_properties_that_are_no_mapping_are_left_out(value: Any, kind: str) -> None:
    notice = igwn.decode(with_event(properties=value, classification=value))
    assert notice.revision.properties == notice.revision.classification == {}
    assert notice.remarks == tuple(
        f"{name} is {kind} and no mapping: it was left out"
        for name in ("classification", "properties")
    )


@pytest.mark.parametrize(
    ("urls", "url"),
    [
        ({"gracedb": "x", "other": {"a": 1}, "more": 5}, "x"),
        ({"gracedb": {"a": 1}}, None),
        ({"gracedb": None}, None),
        ([], None),
        ("x", None),
        (None, None),
    ],
)
def test_odd_urls_do_not_lose_the_event(urls: Any, url: str | None) -> None:
    assert igwn.decode(changed(urls=urls)).revision.url == url


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "nan", "inf", "-inf"])
@pytest.mark.parametrize("where", ["far", "properties", "more"])
def test_numbers_that_are_none_are_named(word: str, where: str) -> None:
    value: Any = {"HasNS": "@"} if where == "properties" else "@"
    text = with_event(**{where: value}).decode().replace('"@"', word)
    key = "HasNS" if where == "properties" else where
    with pytest.raises(DecodeError) as caught:
        igwn.decode(text.encode())
    at = text.index(f'"{key}": ') + len(key) + 4
    assert str(caught.value) == (
        f"not an IGWN alert: it holds {word} (line 1, byte {at}, at '{key}'), which is no number "
        "of JSON; whoever writes it must write null there"
    )


@settings(deadline=None, max_examples=200)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    ),
    st.sampled_from(["properties", "classification", "urls"]),
)
def test_any_json_at_all_in_what_only_adds_to_an_event(value: Any, where: str) -> None:
    document = changed(urls=value) if where == "urls" else with_event(**{where: value})
    try:
        notice = igwn.decode(document)
    except DecodeError as error:  # json.dumps writes what is no JSON
        assert "which is no number of JSON" in str(error)  # noqa: PT017  (either is right)
        return
    told = {**notice.revision.properties, **notice.revision.classification}
    assert all(math.isfinite(one) for one in told.values())


def test_revisions_are_ordered_by_their_own_time() -> None:
    times = ["2024-01-14T23:05:24.5Z", "2024-01-14T23:05:24Z", "2024-01-14T23:05:24.25+00:00"]
    keys = [igwn.decode(changed(time_created=time)).revision.key for time in times]
    assert sorted(keys) == [keys[1], keys[2], keys[0]]
    same = igwn.decode(changed(alert_type="RETRACTION", event=None)).revision
    assert same.key > igwn.decode(changed()).revision.key


def test_a_notice_that_was_written_anew_says_the_same() -> None:
    first = igwn.decode(changed(note="\xe9/\u2028", deep={"b": [1, 2.5], "a": None, "c": 3}))
    document = json.loads(changed(note="\xe9/\u2028", deep={"c": 3.0, "a": None, "b": [1.0, 2.5]}))
    for text in (
        json.dumps(document, indent=4, ensure_ascii=False),
        json.dumps(document, sort_keys=True, separators=(",", ":")).replace("/", "\\/"),
        json.dumps(dict(reversed(document.items()))),
    ):
        again = igwn.decode(text.encode())
        assert again == first
    for other in (changed(note="e"), changed(note="\xe9/\u2028", deep={"b": [2.5, 1]})):
        assert igwn.decode(other).revision.content_digest != first.revision.content_digest


def test_of_a_key_that_stands_twice_the_last_counts_for_all() -> None:
    twice = changed().replace(b'{"', b'{"superevent_id": "S1", "', 1)
    notice = igwn.decode(twice)
    assert notice.revision == igwn.decode(changed()).revision
    assert notice.revision.event_id != "S1"


@pytest.mark.parametrize("many", ["{}", "[]", "0", '{"a":0}'])
def test_a_notice_of_very_many_values_is_refused_before_they_are_made(many: str) -> None:
    few = ",".join([many] * 20_000).encode()
    assert igwn.decode(changed().replace(b"{", b'{"x": [' + few + b"],", 1)).skymap
    much = ",".join([many] * 150_000).encode()
    with pytest.raises(DecodeError, match="more than 100000 values"):
        igwn.decode(changed().replace(b"{", b'{"x": [' + much + b"],", 1))


@pytest.mark.parametrize("more", ["1" * 5000, "1e400", "[" * 3000 + "]" * 3000, r'"\ud800"', "NaN"])
def test_odd_json_gives_a_notice_or_an_error(more: str) -> None:
    value = changed()[:-1] + f', "more": {more}}}'.encode()
    try:
        notice = igwn.decode(value)
    except DecodeError:
        return
    assert len(notice.revision.content_digest) == 16


@pytest.mark.realdata
def test_the_update_with_a_gamma_ray_burst_is_the_latest_in_any_spelling(data_dir: Path) -> None:
    files = sorted((data_dir / "notices" / "lvk-MS181101ab").glob("*.json"))
    as_sent = [igwn.decode(path.read_bytes()).revision for path in files]
    anew = [
        igwn.decode(json.dumps(json.loads(path.read_bytes())).encode()).revision for path in files
    ]
    assert anew == as_sent
    in_order = sorted(as_sent, key=lambda one: one.key)
    assert [(one.alert_type, one.external is not None) for one in in_order] == [
        ("EARLYWARNING", False),
        ("PRELIMINARY", False),
        ("INITIAL", False),
        ("UPDATE", False),
        ("UPDATE", True),
        ("RETRACTION", False),
    ]
    assert len({one.revision_id for one in as_sent}) == 6


@settings(deadline=None, max_examples=300)
@given(st.randoms(use_true_random=False))
def test_mutated_notices_give_a_notice_or_an_error(dice: random.Random) -> None:
    data = bytearray(changed())
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(data))
        if dice.random() < 0.7:
            data[at] = dice.randrange(256)
        else:
            del data[at : at + dice.randint(1, 30)]
    try:
        notice = notices.decode(bytes(data), "x.json")
    except DecodeError:
        return
    assert notice.revision.event_id


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_at_all(data: bytes) -> None:
    with pytest.raises(DecodeError):
        notices.decode(data, "x")


@pytest.mark.realdata
def test_every_real_notice(data_dir: Path) -> None:
    files = sorted((data_dir / "notices").glob("lvk-*/*.json"))
    assert len(files) == 38
    types = set()
    for path in files:
        notice = notices.decode(path.read_bytes(), path.name)
        types.add(notice.revision.alert_type)
        if notice.revision.is_retraction:
            assert notice.revision.t0_jd is None
            assert not notice.skymap
            continue
        assert SkyMap.from_fits(notice.skymap).area(0.9) > 1
        if "ext" in path.name:
            assert notice.combined_skymap
            assert notice.revision.external is not None
            assert notice.revision.external.observatory == "Fermi"
    assert types == {"EARLYWARNING", "PRELIMINARY", "INITIAL", "UPDATE", "RETRACTION"}


@pytest.mark.realdata
def test_sky_maps_as_notices(data_dir: Path) -> None:
    for path in sorted((data_dir / "skymaps").iterdir()):
        data = path.read_bytes()
        notice = notices.decode(data, path.name)
        assert notice.revision.t0_jd is not None
        is_burst = "fermi" in path.name
        assert notice.revision.kind == ("grb" if is_burst else "gw")
        assert (notice.revision.group == "CBC") == (not is_burst and "nodistance" not in path.name)


@pytest.mark.realdata
@settings(deadline=None, max_examples=60)
@given(st.randoms(use_true_random=False))
def test_mutated_sky_maps(data_dir: Path, dice: random.Random) -> None:
    path = data_dir / "notices" / "lvk-2024-01" / "S240112y-preliminary-20240112T130540Z.json"
    data = bytearray(igwn.decode(path.read_bytes()).skymap)
    for _ in range(dice.randint(1, 20)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    try:
        SkyMap.from_fits(bytes(data), name="mutated")
    except SkyMapError:
        return
