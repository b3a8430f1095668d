"""Where a workspace is tracked: its settings, and what is said when the server is not as they say."""

import http.server
import threading

import pytest

from recsys.errors import ConfigError, RegistryError
from recsys.registry.champion import champion
from recsys.registry.client import exists, new_registry, refuse_unreadable, registry, tracking_uri
from recsys.registry.tracking_server import TrackingServer, settings_file


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch, tmp_path):
    for name in (
        "RECSYS_TRACKING_URI",
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # MLflow reads ~/.mlflow/credentials as well


@pytest.fixture
def answering():
    """Starts a server on loopback that answers everything with one status."""
    servers = []

    def start(status: int, body: bytes = b"{}") -> str:
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_workspace_is_tracked_in_its_homes_own_database_unless_told_otherwise(workspace):
    assert TrackingServer.of(workspace).embedded
    assert tracking_uri(workspace) == f"sqlite:///{workspace.tracking_database}"
    assert not exists(workspace)


def test_a_file_names_a_server_and_the_environment_wins(workspace, monkeypatch):
    settings_file(workspace).write_text('uri = "https://mlflow.example"\n')
    assert tracking_uri(workspace) == "https://mlflow.example"
    monkeypatch.setenv("RECSYS_TRACKING_URI", "http://127.0.0.1:15000")
    assert tracking_uri(workspace) == "http://127.0.0.1:15000"
    assert exists(workspace)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('uri = "postgresql://db/mlflow"', "no address"),
        ('uri = "https://"', "no address"),
        ('uri = "https://mlflow.example:port"', "no address"),
        ('uri = "https://ada:secret@mlflow.example"', "holds a user or password"),
        ('uri = "http://mlflow.example"', "use https://mlflow.example"),
        ('url = "https://mlflow.example"', "It takes uri, timeout_seconds"),
        ("timeout_seconds = 0", "timeout_seconds"),
        ("uri = ", "cannot be read"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_without_repeating_secrets(workspace, settings, said):
    settings_file(workspace).write_text(settings)
    with pytest.raises(ConfigError, match=said) as refused:
        tracking_uri(workspace)
    assert "secret" not in str(refused.value)


def test_a_server_that_is_down_is_told_at_once(workspace, answering, monkeypatch):
    monkeypatch.setenv("RECSYS_TRACKING_URI", "http://127.0.0.1:1")
    for asked in (registry(workspace), new_registry(workspace)):
        with (
            pytest.raises(RegistryError, match=r"http://127\.0\.0\.1:1 does not answer.*refused.*mlflow-server"),
            asked,
        ):
            pass
    with pytest.raises(RegistryError, match="does not answer"):
        refuse_unreadable(workspace)


def test_missing_credentials_are_told_apart_from_wrong_ones(workspace, answering, monkeypatch):
    monkeypatch.setenv("RECSYS_TRACKING_URI", answering(401))
    with pytest.raises(RegistryError, match="no credentials are set: set MLFLOW_TRACKING_USERNAME"):
        TrackingServer.of(workspace).check()
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "unmistakable")
    with pytest.raises(RegistryError, match="refuses the credentials of 'ada'") as refused:
        TrackingServer.of(workspace).check()
    assert "unmistakable" not in str(refused.value)


def test_an_account_without_rights_is_told_to_ask_the_administrator(workspace, answering, monkeypatch):
    monkeypatch.setenv("RECSYS_TRACKING_URI", answering(403))
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "token")
    with pytest.raises(RegistryError, match="ask its administrator"):
        TrackingServer.of(workspace).check()


def test_what_is_no_tracking_server_is_told(workspace, answering, monkeypatch):
    monkeypatch.setenv("RECSYS_TRACKING_URI", answering(404))
    with pytest.raises(RegistryError, match=r"no MLflow tracking server \(HTTP 404\)"):
        TrackingServer.of(workspace).check()


@pytest.mark.slow
def test_when_the_server_goes_away_the_last_good_champion_is_served(workspace, train, monkeypatch):
    from recsys.registry.promotion import promote

    train()
    promote(workspace, by="ada")
    monkeypatch.setenv("RECSYS_TRACKING_URI", "http://127.0.0.1:1")
    found = champion(workspace)
    assert found.version == "1"
    assert "does not answer" in found.degraded
