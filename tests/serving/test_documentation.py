"""The OpenAPI document says what the service does: examples are true, errors are problem documents."""

import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from recsys.serving.answers.catalogue_requests import ItemRequest
from recsys.serving.answers.heads import SAFETENSORS, HeadsRequest
from recsys.serving.answers.scoring import ScoresRequest
from recsys.serving.http.problems import Problem
from recsys.serving.messages import examples, more_examples, replies, requests
from recsys.serving.messages.more_replies import (
    DeletionReply,
    HeadsReply,
    ItemReply,
    ScoresReply,
    SimilarReply,
    UserContextReply,
)


@pytest.fixture
def document(service):
    return service.app.openapi()


def test_every_route_has_a_summary_and_an_example(document):
    assert set(document["paths"]) == {
        "/v1/recommendations",
        "/v1/scores",
        "/v1/heads",
        "/v1/events",
        "/v1/model",
        "/v1/items/{item_id}/similar",
        "/v1/items/{item_id}",
        "/v1/users/{user_id}/context",
        "/v1/users/{user_id}",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["summary"], path
            kind = "text/plain" if path == "/metrics" else "application/json"
            assert operation["responses"]["200"]["content"][kind]["example"], path
            if "requestBody" in operation:
                assert operation["requestBody"]["content"]["application/json"]["examples"], path


def test_the_example_of_metrics_is_of_this_service_and_prometheus_can_read_it(http):
    http.post("/v1/recommendations", json={"user_id": "nobody"})
    told = {family.name for family in text_string_to_metric_families(http.get("/metrics").text)}
    assert {family.name for family in text_string_to_metric_families(more_examples.METRICS)} <= told


def test_a_head_as_a_file_is_described(document):
    content = document["paths"]["/v1/heads"]["post"]["responses"]["200"]["content"]
    assert content[SAFETENSORS]["schema"]["description"]


def test_errors_are_documented_as_problem_documents_and_nothing_else(document):
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert set(document["components"]["schemas"]["Problem"]["properties"]) == set(Problem.model_fields)
    for response in document["components"]["responses"].values():
        assert list(response["content"]) == ["application/problem+json"]


def test_every_problem_is_described_once_and_referred_to(document):
    described = {f"#/components/responses/{name}" for name in document["components"]["responses"]}
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    referred = [
        response for operation in operations for status, response in operation["responses"].items() if status != "200"
    ]
    assert {reference for response in referred for reference in response.values()} == described
    assert all(list(response) == ["$ref"] for response in referred)


def test_every_reference_in_the_document_leads_somewhere(document):
    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for inner in node.values():
                yield from references(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from references(inner)

    for reference in set(references(document)):
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert node


@pytest.mark.parametrize(
    ("model", "example"),
    [
        *[(requests.RecommendationRequest, entry["value"]) for entry in examples.RECOMMENDATION_REQUESTS.values()],
        *[(requests.EventsRequest, entry["value"]) for entry in examples.EVENTS_REQUESTS.values()],
        *[(ScoresRequest, entry["value"]) for entry in more_examples.SCORES_REQUESTS.values()],
        *[(HeadsRequest, entry["value"]) for entry in more_examples.HEADS_REQUESTS.values()],
        *[(ItemRequest, entry["value"]) for entry in more_examples.ITEM_REQUESTS.values()],
        (ItemReply, more_examples.ITEM_REPLY),
        (ItemReply, more_examples.REMOVED_ITEM_REPLY),
        (ScoresReply, more_examples.SCORES_REPLY),
        (HeadsReply, more_examples.HEADS_REPLY),
        (SimilarReply, more_examples.SIMILAR_REPLY),
        (UserContextReply, more_examples.CONTEXT_REPLY),
        (DeletionReply, more_examples.DELETION_REPLY),
        (replies.RecommendationReply, examples.RECOMMENDATION_REPLY),
        (replies.EventsReply, examples.EVENTS_REPLY),
        (replies.ModelReply, examples.MODEL_REPLY),
        (replies.Health, examples.HEALTH),
        (replies.Readiness, examples.READINESS),
        (Problem, examples.PROBLEM),
        (Problem, examples.NO_CHAMPION),
    ],
)
def test_examples_are_valid(model, example):
    assert set(model.model_validate(example).model_dump()) >= set(example)


@pytest.mark.slow
def test_importing_the_service_brings_in_neither_torchrec_nor_ray():
    heavy = {"ray", "torchrec", "fbgemm_gpu", "feast", "mlflow"}
    program = f"import sys, recsys.serving.api; print(sorted({{n.split('.')[0] for n in sys.modules}} & {heavy}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("module", ["recsys.serving.assembly", "recsys.serving.processes.workers", "recsys.jobs.serve"])
def test_what_a_serving_process_imports_holds_neither_torchrec_nor_ray(module):
    heavy = {"ray", "torchrec", "fbgemm_gpu"}
    program = f"import sys, {module}; print(sorted({{n.split('.')[0] for n in sys.modules}} & {heavy}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
