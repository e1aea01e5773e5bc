"""Requests made up from the OpenAPI document, valid and not: each is answered, and as the document says.

What schemathesis makes up is the same in every run. The tests share a gateway of their own, because they make and
delete tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Response
from schemathesis.specs.openapi import checks

from mts_common.operator_messages import (
    ChangeJobsReply,
    LiftQuarantineReply,
    ListDeadLettersReply,
    ListJobsReply,
    ListLinesReply,
    RequeueDeadLettersReply,
)
from mts_common.topology import (
    JOB_CHANGES,
    JOB_LISTS,
    LINE_LISTS,
    QUARANTINE_LIFTS,
    RESULTS_DEAD,
    RESULTS_REQUEUES,
    SCHEDULER_DEAD,
    SCHEDULER_REQUEUES,
)
from mts_gateway import openapi
from mts_gateway.settings import Limits
from mts_gateway.testing import Neighbours, RunningGateway, Store, make_certificate, make_settings
from mts_stack.fixtures import fresh_database, fresh_vhost
from mts_stack.rabbitmq import vhost_url
from mts_stack.servers import Servers

EXAMPLES = 20
LIMITS = {
    "calls_per_window": 10**9,
    "window_seconds": 60,
    "max_batch_tests": 10_000,
    "max_survey_days": 100,
    "max_search_days": 366,
    "max_search_limit": 1000,
    "default_search_limit": 100,
    "max_body_bytes": 8 * 1024**2,
}

# What operators ask of the other services; an empty answer shows the gateway's own part.
ANSWERS = {
    JOB_LISTS: ListJobsReply(total=0, jobs=()),
    JOB_CHANGES: ChangeJobsReply(changed=()),
    LINE_LISTS: ListLinesReply(diallers=(), calls=(), quarantine=()),
    QUARANTINE_LIFTS: LiftQuarantineReply(lifted=False),
    SCHEDULER_DEAD: ListDeadLettersReply(total=0, letters=()),
    SCHEDULER_REQUEUES: RequeueDeadLettersReply(requeued=()),
    RESULTS_DEAD: ListDeadLettersReply(total=0, letters=()),
    RESULTS_REQUEUES: RequeueDeadLettersReply(requeued=()),
}


def no_fault(_: object, response: Response, __: object) -> None:
    """A fault of ours is 500; 503 says that a server is slow to answer, which on a busy machine it may be."""
    assert response.status_code != HTTPStatus.INTERNAL_SERVER_ERROR, response.text


# Not `negative_data_rejection`: unknown parameters are ignored, and null and "" mean that one is absent (mts-api.md).
CHECKS = [
    no_fault,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

api = schemathesis.openapi.from_dict(dict(openapi.document(Limits(**LIMITS))))


class Target:
    """The gateway and a token for everything."""

    def __init__(self, gateway: RunningGateway, token: str, trust: Path) -> None:
        self.url = f"https://127.0.0.1:{gateway.port}"
        self.headers = {"Authorization": f"Bearer {token}"}
        self.trust = str(trust)
        self.statuses: Counter[int] = Counter()
        self.session = requests.Session()


@pytest.fixture(scope="module")
def target(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    cert, key = make_certificate(tmp_path_factory.mktemp("tls"))
    with fresh_database(servers) as roles, fresh_vhost(servers) as management:
        store = Store(roles)
        store.prepare()
        store.run("ALTER TABLE gateway.token ALTER token_id RESTART WITH 7777777777")  # not to be hit upon and deleted
        own = store.new_client(["mts", "admin"])
        amqp_url = vhost_url(servers.amqp_url, management.vhost)
        gateway = make_settings(
            roles,
            amqp_url=amqp_url,
            meter_keys=Fernet.generate_key().decode(),
            tls_cert=cert,
            tls_key=key,
            rate_limit_calls=LIMITS["calls_per_window"],
        )
        with Neighbours(amqp_url) as neighbours, RunningGateway(gateway) as running:
            neighbours.answers = {queue.name: answer for queue, answer in ANSWERS.items()}
            target = Target(running, own.token, cert)
            with target.session:
                yield target
            assert target.statuses[HTTPStatus.SERVICE_UNAVAILABLE] * 10 <= target.statuses.total()


@api.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_any_request_by_the_document_is_answered_by_the_document(case: schemathesis.Case[Any], target: Target) -> None:
    answer = case.call_and_validate(
        target.url, target.session, target.headers, CHECKS, verify=target.trust, timeout=60.0
    )
    target.statuses[answer.status_code] += 1
