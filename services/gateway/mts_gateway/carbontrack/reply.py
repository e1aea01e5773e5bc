"""Answers under /ctapi in the format that was asked for, each with the root that its schema's name gives it in XML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Request, Response

from mts_gateway.carbontrack import xml
from mts_gateway.carbontrack.envelope import Refusal
from mts_gateway.carbontrack.negotiate import Format, choose
from mts_gateway.render import to_json


@dataclass(frozen=True, slots=True)
class Shape:
    """What the answers of a path look like: `root` in XML, `items` the elements of a bare array, `listed` the list that
    stands empty in an error.
    """

    root: str
    items: str = ""
    listed: str | None = None


DISTRIBUTORS = Shape("ArrayOfCarbonTrack.Data.DistributorModel", items="CarbonTrack.Data.DistributorModel")
CUSTOMERS = Shape("CarbonTrack.Data.CustomerModelPaging")
DEVICES = Shape("CarbonTrack.Data.DeviceResponsesModel", listed="Devices")
MEASUREMENTS = Shape("CarbonTrack.Data.MeasurementResponsesModel", listed="Measurements")
_ERROR = Shape("CarbonTrack.Data.ErrorModel")
_OF_ERRORS = {"/ctapi/device": DEVICES, "/ctapi/measurement": MEASUREMENTS}


def format_of(request: Request) -> Format:
    """The format that the request asks for."""
    return choose(request.headers.getlist("accept"))


def reply(
    request: Request,
    shape: Shape,
    body: Mapping[str, object] | Sequence[object],
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer, which nobody may keep."""
    wanted = format_of(request)
    content = xml.write(shape.root, body, shape.items) if wanted is Format.XML else to_json(body)
    always = {"Cache-Control": "no-store", "Content-Type": wanted.content_type}
    return Response(content, status, {**always, **(headers or {})})


def refuse(request: Request, refusal: Refusal) -> Response:
    """The answer to a request that is refused: the envelope, with nothing listed where the path lists something."""
    shape = _OF_ERRORS.get(request.scope["path"], _ERROR)
    nothing = {} if shape.listed is None else {shape.listed: [], "Count": 0, "Pages": 0, "PagesIndex": 0}
    return reply(request, shape, {**nothing, **refusal.body()}, refusal.status, refusal.headers)
