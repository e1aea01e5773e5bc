"""One request and its answer, as the parts of this API hand them to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import Request

from mts_gateway.warranty.callers import Caller
from mts_gateway.warranty.parameters import Given, Shape
from mts_gateway.warranty.rendering import Body, Renderer
from mts_gateway.warranty.targets import Target


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be answered: who calls, what it names, what it says. `body` is the JSON value of a write."""

    caller: Caller
    target: Target
    framework: int
    origin: str
    headers: Mapping[str, str]
    given: Given = field(default_factory=dict)
    body: object = None

    def renderer(self, shape: Shape | None = None) -> Renderer:
        """What shows the answer."""
        return Renderer(self.origin, self.framework, shape or Shape())

    @property
    def upserts(self) -> bool:
        """Whether what is there already is to be changed instead of made."""
        return self.headers.get("upsert-mode", "").strip().lower() == "true"


@dataclass(frozen=True, slots=True)
class Answer:
    """A body of a special media type; None = no body."""

    body: Body | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def origin_of(request: Request, public: str | None, *, trust_proxy: bool) -> str:
    """Scheme and host under which the client knows this API."""
    if public is not None:
        return public
    host = request.headers.get("host", "")
    if trust_proxy:
        host = request.headers.get("x-forwarded-host", host).partition(",")[0].strip()
    return f"{request.scope['scheme']}://{host or 'localhost'}"
