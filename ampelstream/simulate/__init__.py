"""A simulated night: ZTF-like packets and LVK-like notices from our own code."""
