"""One tiny task model for all tests that do not change it."""

import pytest


@pytest.fixture(scope="session")
def model(new_model):
    return new_model()
