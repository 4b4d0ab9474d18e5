"""What surrounds an object: sky map probability, catalogues, redshifts."""
