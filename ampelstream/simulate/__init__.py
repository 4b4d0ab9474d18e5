"""A simulated night: ZTF-like packets and LVK-like notices from our own code.

No telescope saw any of it. Published facts in it: the photometry and position of AT2017gfo, the
entry of its host galaxy, the time of GW170817.
"""

from ampelstream.simulate.lvknotices import simulate_notice
from ampelstream.simulate.night import Night, simulate_night, simulate_packets

__all__ = ["Night", "simulate_night", "simulate_notice", "simulate_packets"]
