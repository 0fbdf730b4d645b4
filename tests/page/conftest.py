"""The page that the tests look at, made once."""

import pytest

from tests.page.pages import everything


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A page with everything on it."""
    return everything(tmp_path_factory.mktemp("whole"))
