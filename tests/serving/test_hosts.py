"""Without keys the service answers to its own names alone: a page from elsewhere cannot reach it through a browser."""

import pytest
from fastapi.testclient import TestClient

from recsys.errors import ConfigError
from recsys.jobs.serve import guarded
from recsys.serving.api import create_app
from recsys.serving.edge.hosts import own_hosts
from recsys.serving.edge.keys import KeyStore
from recsys.serving.edge.protection import OPEN, Protection
from recsys.serving.edge.scopes import Scope
from recsys.serving.http.problems import Problem
from recsys.workspace import Workspace


@pytest.fixture
def bound_to(service):
    """A service that listens on an address and was given names."""

    def client(address="127.0.0.1", *names):
        app = create_app(
            models=service.models,
            features=service.models.model.features,
            log=service.log,
            live=service.live,
            protection=Protection(hosts=own_hosts(address, names)),
        )
        return TestClient(app, raise_server_exceptions=False)

    return client


def asked(client, host):
    return client.get("/v1/model", headers={"Host": host})


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:8000", "127.8.8.8:1", "[::1]", "[::1]:8000"]
)
def test_on_loopback_it_answers_to_every_name_of_loopback(bound_to, host):
    assert asked(bound_to(), host).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.7",
        "[fe80::1]",
        "evil@localhost",
        "localhost, evil.example",
        "localhost:80:80",
        "[localhost]",
        "",
    ],
)
def test_a_name_that_is_not_its_own_is_refused_and_not_repeated(bound_to, host):
    reply = asked(bound_to(), host)
    assert reply.status_code == 421
    assert reply.headers["content-type"] == "application/problem+json"
    found = Problem.model_validate(reply.json())
    assert (found.code, found.request_id) == ("misdirected_request", reply.headers["x-request-id"])
    assert "header Host" in found.detail
    assert "--allowed-host" in found.detail
    assert "evil" not in reply.text


@pytest.mark.parametrize("path", ["/v1/events", "/healthz", "/metrics", "/docs", "/openapi.json", "/v1/nothing"])
def test_nothing_is_told_and_nothing_done_under_a_foreign_name(bound_to, service, path):
    event = {"events": [{"user_id": "ann", "item_id": "a"}]}
    assert bound_to().post(path, json=event, headers={"Host": "evil.example"}).status_code == 421
    assert service.log.position() == 0


@pytest.mark.parametrize("host", ["shop.lan", "Shop.LAN.:8000", "localhost", "10.1.2.3:80"])
def test_it_answers_to_the_names_that_the_operator_gave(bound_to, host):
    assert asked(bound_to("127.0.0.1", "Shop.lan", "10.1.2.3"), host).status_code == 200


def test_it_answers_to_the_address_that_it_was_bound_to(bound_to):
    assert asked(bound_to("192.168.1.7"), "192.168.1.7:8000").status_code == 200
    assert asked(bound_to("192.168.1.7"), "192.168.1.8:8000").status_code == 421


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_bound_to_every_address_it_answers_to_addresses_and_to_no_foreign_name(bound_to, address):
    assert asked(bound_to(address), "192.168.1.7:8000").status_code == 200
    assert asked(bound_to(address), "[2001:db8::1]:8000").status_code == 200
    assert asked(bound_to(address), "evil.example").status_code == 421


def test_refusals_are_counted(bound_to):
    http = bound_to()
    asked(http, "evil.example")
    told = http.get("/metrics", headers={"Host": "localhost"}).text
    assert 'recsys_refused_requests_total{code="misdirected_request"} 1.0' in told


def test_more_than_one_name_is_none(bound_to):
    reply = bound_to().get("/v1/model", headers=[("Host", "localhost"), ("Host", "localhost")])
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize("name", ["", "http://shop.lan", "shop.lan:8000", "shop.lan/x", "*", "a b"])
def test_what_is_no_name_is_a_mistake_of_the_operators(name):
    with pytest.raises(ConfigError, match="no name of a host"):
        own_hosts("127.0.0.1", [name])


def test_with_keys_any_name_is_its_own_unless_the_operator_says_which(tmp_path):
    workspace = Workspace("films", tmp_path)
    KeyStore(workspace.keys_file).create("shop", [Scope.READ])

    def hosts(host, **options):
        given = {"auth": None, "without_auth": False, "allowed_hosts": ()} | options
        return guarded(OPEN, workspace, host, **given).hosts

    assert hosts("0.0.0.0") is None
    assert hosts("127.0.0.1", auth=True) is None
    assert hosts("0.0.0.0", allowed_hosts=["shop.lan"]) == {"0.0.0.0", "shop.lan"}
    assert hosts("127.0.0.1") == {"127.0.0.1"}
    assert hosts("0.0.0.0", without_auth=True) == {"0.0.0.0"}


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/plain; x=application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "",
        None,
    ],
)
@pytest.mark.parametrize("path", ["/v1/events", "/v1/recommendations", "/v1/scores", "/v1/heads"])
def test_what_a_browser_sends_across_sites_without_asking_is_refused(http, service, path, kind):
    headers = {"Origin": "https://evil.example", **({} if kind is None else {"Content-Type": kind})}
    reply = http.post(path, content=b'{"events": [{"user_id": "ann", "item_id": "a"}]}', headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (415, "not_json")
    assert service.log.position() == 0


def test_a_browser_that_asks_first_is_not_encouraged(http):
    asks = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    reply = http.options("/v1/events", headers=asks)
    assert reply.status_code == 405
    assert not [name for name in reply.headers if name.startswith("access-control")]
