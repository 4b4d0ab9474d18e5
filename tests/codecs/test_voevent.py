"""VOEvents: types, flags, numbers of triggers, and what is none."""

import random
import time

import pytest

from ampelstream.codecs import notices
from ampelstream.errors import DecodeError
from ampelstream.model.event import EventRevision


def document(
    local: str = "BAT_GRB_Pos_1-1",
    *,
    stream: str = "nasa.gsfc.gcn/SWIFT",
    params: str = '<Param name="TrigID" value="1208389"/>',
    role: str = "observation",
    more: str = "",
    frame: str = "UTC-FK5-GEO",
    error: str = "0.05",
) -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<voe:VOEvent ivorn="ivo://{stream}#{local}" role="{role}" version="2.0"
   xmlns:voe="http://www.ivoa.net/xml/VOEvent/v2.0">
  <Who><Date>2024-01-12T17:37:43</Date></Who>
  <What>{params}</What>
  <WhereWhen><ObsDataLocation><ObservationLocation><AstroCoordSystem id="{frame}"/>
    <AstroCoords><Time><TimeInstant><ISOTime>2024-01-12T17:37:24.97</ISOTime></TimeInstant></Time>
      <Position2D unit="deg"><Value2><C1>270.5</C1><C2>24.5</C2></Value2>
      <Error2Radius>{error}</Error2Radius></Position2D></AstroCoords>
  </ObservationLocation></ObsDataLocation></WhereWhen>{more}
</voe:VOEvent>""".encode()


def said(local: str = "BAT_GRB_Pos_1-1", **how: str) -> EventRevision:
    return notices.decode(document(local, **how), "a.xml").revision


def test_a_plain_one() -> None:
    one = said()
    assert (one.event_id, one.kind, one.mission, one.instrument) == (
        "Swift-1208389", "grb", "Swift", "BAT",
    )  # fmt: skip
    assert one.time_created == "2024-01-12T17:37:43Z"
    assert (one.ra, one.dec, one.ra_dec_error, one.containment) == (270.5, 24.5, 0.05, 0.9)


def test_the_upper_bits_of_integrals_numbers_count_notices() -> None:
    of = {"stream": "nasa.gsfc.gcn/INTEGRAL"}
    first = said("Wakeup_Pos_1-0", params='<Param name="TrigID" value="10472"/>', **of)
    refined = said("Refined_Pos_1-1", params='<Param name="TrigID" value="76008"/>', **of)
    assert first.event_id == refined.event_id == "INTEGRAL-10472"


def test_a_neutrino_has_the_name_that_it_has_in_json() -> None:
    params = '<Param name="run_id" value="137840"/><Param name="event_id" value="57034692"/>'
    of = {"stream": "nasa.gsfc.gcn/AMON", "params": params}
    neutrino = said("ICECUBE_GOLD_Event2023", **of)
    json = notices.decode(b'{"mission": "IceCube", "id": ["137840_57034692"]}').revision
    assert neutrino.event_id == json.event_id
    assert (neutrino.kind, said("HAWC_Burst", **of).kind) == ("neutrino", "grb")


@pytest.mark.parametrize(
    "how",
    [
        {"more": '<Citations><EventIVORN cite="retraction">ivo://a#b</EventIVORN></Citations>'},
        {"params": '<Group name="x"><Param name="Retraction" value="true"/></Group>'},
        {"params": '<Group name="x"><Param name="Def_NOT_a_GRB" value="true"/></Group>'},
    ],
)
def test_retractions(how: dict[str, str]) -> None:
    one = notices.decode(document(**how), "a.xml")
    assert one.revision.is_retraction
    assert not one.ellipses


def test_an_authority_of_its_own_may_say_the_mission() -> None:
    params = """<Group name="Svom_Identifiers"><Param name="Burst_Id" value="sb24062601"/>
      <Param name="Instrument" value="ECLAIRs"/></Group>"""
    one = said("sb24062601_eclairs-wakeup", stream="org.svom/fsc", params=params)
    assert (one.event_id, one.kind, one.instrument) == ("SVOM-sb24062601", "grb", "ECLAIRs")


def test_types() -> None:
    cited = '<Citations><EventIVORN cite="followup">ivo://a#b</EventIVORN></Citations>'
    assert said().alert_type == "INITIAL"
    assert said(more=cited).alert_type == "UPDATE"
    assert said("GBM_Fin_Pos2024", stream="nasa.gsfc.gcn/Fermi").alert_type == "UPDATE"
    assert said("BAT_Trans_Pos_1-1").kind == "other"


def test_tests_are_marked() -> None:
    flag = '<Group name="Trigger_ID"><Param name="Test" value="true"/></Group>'
    assert said(role="test").test
    assert said(params=flag).test
    assert said("GBM_Test_Pos_1").test
    assert not said(params=flag.replace("true", "false")).test


def test_without_an_error_there_is_no_map() -> None:
    one = notices.decode(document(error="0.0000"))
    assert not one.ellipses
    assert one.revision.skymap_digest == ""
    assert "without an error" in one.revision.notes[0]


def test_an_alert_of_ligo_virgo_and_kagra_is_of_its_superevent() -> None:
    params = """<Param name="GraceID" value="S190814bv"/><Param name="AlertType" value="Initial"/>
      <Param name="Group" value="CBC"/><Param name="FAR" value="2e-33"/>
      <Param name="Instruments" value="H1,L1,V1"/>
      <Group name="GW_SKYMAP"><Param name="skymap_fits" value="https://example.org/a.fits"/></Group>
      <Group name="Classification"><Param name="NSBH" value="0.99"/></Group>
      <Group name="Properties"><Param name="HasNS" value="1.0"/></Group>"""
    one = said("S190814bv-2-Initial", stream="gwnet/LVC", params=params)
    assert (one.event_id, one.kind, one.alert_type, one.group) == (
        "S190814bv", "gw", "INITIAL", "CBC",
    )  # fmt: skip
    assert (one.classification, one.properties) == ({"NSBH": 0.99}, {"HasNS": 1.0})
    assert (one.instruments, one.far) == (("H1", "L1", "V1"), 2e-33)
    assert one.skymap_url == "https://example.org/a.fits"
    mock = params.replace("S190814bv", "MS190814bv").replace("Initial", "Retraction")
    other = said("MS190814bv-3-Retraction", stream="gwnet/LVC", params=mock)
    assert other.test
    assert other.is_retraction


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"<", "cannot be read"),
        (b"<a/>", "not a VOEvent"),
        (document()[:-20], "cannot be read"),
        (document(frame="UTC-GALACTIC-GEO"), "GALACTIC"),
        (document().replace(b"<C1>", b"&bomb;<C1>"), "cannot be read"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "cannot be read"),
        (b"<a>" + b" " * (5 << 20) + b"</a>", "longer than 4 MiB"),
        (b"<a>" * 30_000 + b"</a>" * 30_000, "not a VOEvent"),
        (document().replace(b"17:37:24.97", b"25:00"), "ISOTime"),
        (document(params='<Param name="TrigID" value="a&#x202e;b"/>'), "not a name"),
    ],
)
def test_what_is_none_is_refused_in_words(value: bytes, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        notices.decode(value)


def test_white_space_and_the_order_of_attributes_mean_nothing() -> None:
    plain = document()
    other = plain.replace(b"  <", b"\n\t <").replace(
        b'name="TrigID" value="1208389"', b'value="1208389"   name="TrigID"'
    )
    assert notices.decode(other).revision == notices.decode(b"\xef\xbb\xbf\n" + plain).revision


def test_mangled_documents_give_a_notice_or_an_error() -> None:
    rng = random.Random(7)  # noqa: S311  (an order, not a secret)
    plain = document()
    for _ in range(500):
        mangled = bytearray(plain)
        for _ in range(rng.randrange(1, 6)):
            mangled[rng.randrange(len(mangled))] = rng.randrange(256)
        try:
            notices.decode(bytes(mangled), "mangled")
        except DecodeError:
            continue


def test_no_document_takes_longer_than_its_length() -> None:
    """Tags within tags of the same name were looked through once for each: hours for 4 MiB."""
    deep = document().replace(b"<What>", b"<What>" + b"<Value2>" * 9000 + b"</Value2>" * 9000)
    began = time.monotonic()
    with pytest.raises(DecodeError, match="nested too deeply"):
        notices.decode(deep)
    assert time.monotonic() - began < 2
    with pytest.raises(DecodeError, match="more than 20000 tags"):
        notices.decode(document().replace(b"<What>", b"<What>" + b"<a/>" * 20_001))


def test_a_number_of_integral_that_is_none_names_the_event_as_it_stands() -> None:
    """`int` takes no superscript, and no thousands of digits: a worker would end with that."""
    of = {"stream": "nasa.gsfc.gcn/INTEGRAL"}
    odd = said("Wakeup", params='<Param name="TrigID" value="²"/>', **of)
    assert odd.event_id == "INTEGRAL-²"
    with pytest.raises(DecodeError, match="characters long"):
        said("Wakeup", params=f'<Param name="TrigID" value="{"1" * 5000}"/>', **of)


def test_a_right_ascension_beyond_a_turn_is_no_position() -> None:
    value = document().replace(b"<C1>270.5", b"<C1>1e300")
    revision = notices.decode(value).revision
    assert revision.ra is None
    assert revision.dec is None
