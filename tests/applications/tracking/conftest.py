"""The replica is written once."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def replica(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the paths of a small video and its boxes."""
    pytest.importorskip("cv2")
    from tests.applications.tracking.replica import write_replica

    return write_replica(tmp_path_factory.mktemp("video"))
