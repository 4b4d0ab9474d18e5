"""Catalogues on disk: Parquet partitioned by HEALPix (HATS layout), searched by cone.

A catalogue is a directory under a root::

    GLADE+/
        catalog.json          name, version, columns, rows (this project's; absent in foreign ones)
        hats.properties       the same for other readers of HATS (also as ``properties``)
        partition_info.csv    Norder,Npix of each partition
        dataset/Norder=K/Dir=D/Npix=N.parquet    rows sorted by ``_healpix_29``
"""

from ampelstream.sky.catalogs.catalog import Catalog, CatalogStore, Match

__all__ = ["Catalog", "CatalogStore", "Match"]
