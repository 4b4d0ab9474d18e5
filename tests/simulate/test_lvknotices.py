"""Simulated notices, read by the project's decoder."""

import json

import pytest

from ampelstream.codecs import igwn
from ampelstream.errors import ConfigError
from ampelstream.simulate import simulate_notice
from ampelstream.simulate.lvknotices import FALSE_ALARM_ID, MERGER_ID, night_notices
from ampelstream.simulate.survey import T0_JD
from ampelstream.sky.skymap import SkyMap


def test_a_notice_says_what_was_asked_for() -> None:
    value = simulate_notice(
        event_id="SIM230225a",
        alert_type="INITIAL",
        time_created="2023-02-25T00:05:00Z",
        t0_jd=2460000.25,
        ra=359.0,
        dec=-60.0,
        width_deg=3.0,
        order=5,
        distance_mpc=120.0,
        distance_sigma_mpc=10.0,
    )
    notice = igwn.decode(value)
    assert notice.revision.event_id == "SIM230225a"
    assert notice.revision.alert_type == "INITIAL"
    assert notice.revision.time_created.startswith("2023-02-25T00:05:00")
    assert notice.revision.t0_jd == pytest.approx(2460000.25, abs=1e-8)
    assert notice.revision.classification["BNS"] > 0.9
    assert notice.revision.significant is True
    skymap = SkyMap.from_fits(notice.skymap)
    assert skymap.credible_level(359.0, -60.0) < 0.2
    assert skymap.credible_level(1.0, -61.0) < 0.4
    assert skymap.credible_level(180.0, 60.0) > 0.99
    assert skymap.distmean == pytest.approx(120.0, abs=10.0)


def test_a_retraction_has_no_event() -> None:
    value = simulate_notice(
        event_id="SIM230225a",
        alert_type="RETRACTION",
        time_created="2023-02-25T03:00:00Z",
        t0_jd=None,
        ra=0.0,
        dec=0.0,
        width_deg=1.0,
    )
    notice = igwn.decode(value)
    assert notice.revision.is_retraction
    assert notice.skymap == b""


def test_only_a_retraction_may_lack_a_time() -> None:
    with pytest.raises(ConfigError, match="t0_jd"):
        simulate_notice(
            event_id="SIM1",
            alert_type="UPDATE",
            time_created="2023-02-25T03:00:00Z",
            t0_jd=None,
            ra=0.0,
            dec=0.0,
            width_deg=1.0,
        )


def test_the_story_of_the_night() -> None:
    sent = [igwn.decode(value).revision for _, value in sorted(night_notices().items())]
    assert [(one.event_id, one.alert_type) for one in sent] == [
        (MERGER_ID, "PRELIMINARY"),
        (MERGER_ID, "UPDATE"),
        (FALSE_ALARM_ID, "PRELIMINARY"),
        (FALSE_ALARM_ID, "RETRACTION"),
    ]
    assert [one.time_created for one in sent] == sorted(one.time_created for one in sent)
    assert sent[0].t0_jd == pytest.approx(T0_JD, abs=1e-8)
    assert sent[2].classification["BBH"] > 0.9


def test_nobody_can_take_the_events_for_real() -> None:
    for value in night_notices().values():
        said = json.loads(value)
        assert said["superevent_id"].startswith("SIM")
        assert "simulated" in said["urls"]["gracedb"]
