"""Sky maps, credible levels, HEALPix ranges and catalogues on disk."""
