import pytest

from ampelstream.model.skyposition import declination, parse_position, right_ascension

ARCSECOND = 1 / 3600


@pytest.mark.parametrize(
    ("text", "ra", "dec", "rest"),
    [
        ("197.45,-23.38", 197.45, -23.38, ()),
        ("197.45, -23.38 ", 197.45, -23.38, ()),
        ("197.45 -23.38 40", 197.45, -23.38, ("40",)),
        ("-0.5,-89", -0.5, -89.0, ()),
        ("\N{MINUS SIGN}5,\N{MINUS SIGN}10", -5.0, -10.0, ()),
        ("12:34:56.7 -12:34:56", 188.73625, -12.58222222, ()),
        ("12:34:56.7,-12:34:56,40", 188.73625, -12.58222222, ("40",)),
        ("12h34m56s -12d34m", 188.73333333, -12.56666667, ()),
        ("12h34m56.7s,-12d34m56.0s", 188.73625, -12.58222222, ()),
        ("12 34 56.7 -00 30 00", 188.73625, -0.5, ()),
        ("12 34 56.7 +00 30 00 40", 188.73625, 0.5, ("40",)),
        ("13h09m48.08s,-23°22\u203253.3\u2033", 197.45033333, -23.38147222, ()),
        ("13h,+5d", 195.0, 5.0, ()),
        ("188d30m,5", 188.5, 5.0, ()),
        ("12:34.5,4", 188.625, 4.0, ()),
        ("23:59:60,4", 360.0, 4.0, ()),
        ("-0:30:00,-0:00:01", -7.5, -ARCSECOND, ()),
    ],
)
def test_positions(text: str, ra: float, dec: float, rest: tuple[str, ...]) -> None:
    found = parse_position(text)
    assert found[:2] == pytest.approx((ra, dec), abs=1e-8)
    assert found[2] == rest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no position"),
        ("5", "is no position"),
        ("x,5", "'x' is not a number of degrees, nor like"),
        ("12h34m56s,-12h", "'-12h' is not a number of degrees"),
        ("nan,5", "'nan' is not"),
        ("inf,5", "'inf' is not"),
        ("12:61:00,4", "beyond 60"),
        ("12:00:61,4", "beyond 60"),
        ("12:34.5:10,4", "decimals of a minute"),
        ("25:00:00,4", "more than a turn"),
        ("361,4", "more than a turn"),
        ("5,91", "beyond a pole"),
        ("5,-90:00:01", "beyond a pole"),
    ],
)
def test_what_is_no_position_is_said_with_the_ways_to_give_one(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_position(text)


def test_hours_and_degrees_are_told_apart() -> None:
    assert right_ascension("10:00:00") == 150.0
    assert declination("10:00:00") == 10.0
    assert right_ascension("10d") == 10.0
