"""How ZTF lays out its packets."""

from ampelstream.codecs.avro.plan import Layout
from ampelstream.codecs.avro.plans import Plans

__all__ = ["MEASURED", "PLANS"]

MEASURED = frozenset(
    {
        *("jd", "fid", "pid", "diffmaglim", "programid", "candid", "isdiffpos", "rcid"),
        *("xpos", "ypos", "ra", "dec", "magpsf", "sigmapsf", "rb", "drb"),
    }
)
"""Fields of a history's entry that a datapoint takes."""

PLANS = Plans(
    Layout(
        survey="ZTF",
        head=("objectId", "candid", "candidate"),
        history="prv_candidates",
        forced="fp_hists",
        times=frozenset({"jd", "candid"}),
        measured=MEASURED,
    )
)
