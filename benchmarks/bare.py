"""What the accept rate is measured against: a bare FastAPI endpoint that checks the same request and stores nothing.

`python -m benchmarks.bare PORT CERTIFICATE KEY`
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from itertools import count

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from mts_gateway.new_test import Rules, check_test
from mts_gateway.strict_json import parse

app = FastAPI()
_ids = count(1)
_rules = Rules()


@app.post("/MTS/test-request")
async def test_request(request: Request) -> JSONResponse:
    """As the gateway's, without authentication, rate limit, database and tracing."""
    faults: list[str] = []
    check_test(parse(await request.body()), _rules, datetime.now(UTC).date(), faults)
    if faults:
        return JSONResponse({"details": faults}, 400)
    return JSONResponse({"testId": next(_ids)})


if __name__ == "__main__":
    port, certificate, key = sys.argv[1:]
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(port),
        ssl_certfile=certificate,
        ssl_keyfile=key,
        log_level="warning",
        access_log=False,
    )
