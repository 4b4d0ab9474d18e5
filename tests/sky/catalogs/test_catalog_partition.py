from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ampelstream.errors import CatalogError
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.sky.catalogs.partition import PartitionCache


def scattered(count: int) -> dict[str, Any]:
    random = np.random.default_rng(1)
    return {
        "ra": random.uniform(0.0, 360.0, count),
        "dec": np.degrees(np.arcsin(random.uniform(-1.0, 1.0, count))),
    }


def test_partitions_are_read_when_first_touched(make: Any, tmp_path: Path) -> None:
    make(tmp_path, "sky", scattered(1200), largest=200)
    store = CatalogStore(tmp_path)
    catalog = store.open("sky")
    cache = store._cache
    assert cache.loads == 0
    catalog.cone(10.0, 10.0, 1.0)
    assert cache.loads == 1
    catalog.cone(10.0, 10.0, 1.0)
    assert cache.loads == 1


def test_rows_in_memory_stay_within_the_bound(make: Any, tmp_path: Path) -> None:
    built = make(tmp_path, "sky", scattered(1200), largest=200)
    store = CatalogStore(tmp_path, max_rows=400)
    assert len(store.open("sky").cone(0.0, 0.0, 180 * 3600.0)) == 1200
    assert store._cache.loads >= built.partitions
    assert 0 < store._cache.rows <= 400
    assert store._cache.rows == sum(map(len, store._cache._kept.values()))


def test_the_bound_is_shared_by_all_catalogues(make: Any, tmp_path: Path) -> None:
    make(tmp_path, "a", scattered(100))
    make(tmp_path, "b", scattered(100))
    store = CatalogStore(tmp_path, max_rows=150)
    store.open("a").cone(0.0, 0.0, 648000.0)
    store.open("b").cone(0.0, 0.0, 648000.0)
    assert 0 < store._cache.rows <= 150


def test_the_partition_used_least_recently_goes(make: Any, tmp_path: Path) -> None:
    ra, dec = [0.0, 90.0, 180.0], [0.0, 0.0, 0.0]  # middles of base cells
    make(tmp_path, "three", {"ra": ra, "dec": dec})
    store = CatalogStore(tmp_path, max_rows=2)
    catalog = store.open("three")
    for one in (0.0, 90.0, 0.0, 180.0, 0.0):
        assert len(catalog.cone(one, 0.0, 1.0)) == 1
    assert store._cache.loads == 3  # 90 went, not 0
    catalog.cone(90.0, 0.0, 1.0)
    assert store._cache.loads == 4


def test_a_partition_larger_than_the_bound_is_kept_alone(make: Any, tmp_path: Path) -> None:
    make(tmp_path, "sky", scattered(600))
    store = CatalogStore(tmp_path, max_rows=1)
    catalog = store.open("sky")
    catalog.cone(10.0, 10.0, 1.0)
    catalog.cone(10.0, 10.0, 1.0)
    assert store._cache.loads == 1
    assert len(store._cache._kept) == 1


def test_a_catalogue_replaced_while_in_use_is_noticed(make: Any, tmp_path: Path) -> None:
    make(tmp_path, "sky", {"ra": [1.0], "dec": [1.0]})
    catalog = CatalogStore(tmp_path).open("sky")
    make(tmp_path, "sky", {"ra": [1.0], "dec": [1.0001]}, replace=True)
    with pytest.raises(CatalogError, match="replaced while in use; start again"):
        catalog.cone(1.0, 1.0, 10.0)


def test_a_lost_partition_is_named(make: Any, tmp_path: Path) -> None:
    make(tmp_path, "sky", {"ra": [1.0], "dec": [1.0]})
    catalog = CatalogStore(tmp_path).open("sky")
    (file,) = (tmp_path / "sky").rglob("Npix=*.parquet")
    file.write_bytes(b"not parquet")
    with pytest.raises(CatalogError, match="is unreadable"):
        catalog.cone(1.0, 1.0, 10.0)
    file.unlink()
    with pytest.raises(CatalogError, match=file.name):
        catalog.cone(1.0, 1.0, 10.0)


def test_an_empty_cache_has_no_rows() -> None:
    assert PartitionCache(10).rows == 0
