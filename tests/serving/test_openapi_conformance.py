"""Every documented route answers as the OpenAPI document says, to what the document allows and to what it forbids."""

import pytest

from tests.serving.conformance import ask_and_check, documented_api
from tests.serving.conftest import films_in, over_a_model

pytestmark = pytest.mark.slow

api = documented_api(40, ["m1", "m2", "m3", "untrained", "year", "genres", "title", "Comedy", "age", "ann", "nobody"])


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service of its own, as its users are deleted and its items changed."""
    return over_a_model(films_in(tmp_path_factory.mktemp("films"))).http.app


@api.parametrize()
def test_every_route_answers_as_the_document_says(case, service):
    ask_and_check(case, app=service)
