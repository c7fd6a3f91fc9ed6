"""What tests of the studio without a browser share."""

import pytest
import studio_models

from morphoscope.apps.morphing import Workbench


@pytest.fixture
def workbench() -> Workbench:
    return studio_models.workbench()
