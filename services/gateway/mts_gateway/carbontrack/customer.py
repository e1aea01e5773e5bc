"""GET /ctapi/Customer: customers with the ids of their devices (carbontrack.md, 4)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastapi import APIRouter, Response

from mts_gateway.carbontrack import envelope
from mts_gateway.carbontrack.body import read_form
from mts_gateway.carbontrack.parameters import Parameters
from mts_gateway.carbontrack.principal import Caller
from mts_gateway.carbontrack.reading import Reading
from mts_gateway.carbontrack.reply import CUSTOMERS, reply
from mts_gateway.endpoint import ApiRequest, ApiRoute
from mts_gateway.render import Row
from mts_gateway.strict_json import MalformedBody

_DEFAULT_SIZE = 100
_PREFIX = "customerrequest."


@dataclass(frozen=True, slots=True)
class Customers:
    """The endpoint."""

    own: Reading

    def router(self) -> APIRouter:
        """What is served."""
        router = APIRouter(route_class=ApiRoute)
        router.api_route("/ctapi/customer", methods=["GET", "HEAD"])(self.show_customers)
        return router

    async def show_customers(self, request: ApiRequest, caller: Caller) -> Response:
        """A page of those that match."""
        given = _read_query(request.query)
        phone = given.text("phone")
        page = given.whole("page") or 1
        size = given.page_size("pageSize", _DEFAULT_SIZE)
        rows = await self.own.fetch(
            "find_customers",
            list(caller.distributors),
            given.text("customerRef"),
            None if phone is None else re.sub("[^0-9]", "", phone),
            given.text("address"),
            size,
            (page - 1) * size,
        )
        shown = [_show(row) for row in rows if row["customer_id"] is not None]
        body = {"RecordCount": rows[0]["total"], "CustomerList": shown, "Page": page, "PageSize": size}
        return reply(request, CUSTOMERS, body)


def _read_query(query: bytes) -> Parameters:
    """A name with the prefix goes over the same name without."""
    try:
        pairs = [(name.lower(), value) for name, value in read_form(query)]
    except MalformedBody:
        raise envelope.malformed("the query is not in UTF-8") from None
    prefixed = [(name.removeprefix(_PREFIX), value) for name, value in pairs if name.startswith(_PREFIX)]
    return Parameters([*pairs, *prefixed])


def _show(row: Row) -> dict[str, object]:
    return {
        "Devices": row["devices"],
        "CustomerId": str(row["customer_id"]),
        "FirstName": row["first_name"],
        "LastName": row["last_name"],
        "Email": row["email"],
        "UserId": None if row["user_id"] is None else str(row["user_id"]),
        "AccountNumber": row["account_number"],
        "UserName": row["login_name"] or row["user_name"],
        "Mobile": row["mobile"],
        "DayTimeContact": row["day_time_contact"],
        "Location": row["location"],
        "DateOfBirth": None,
        "DistributorId": str(row["distributor_id"]),
        "CurrencyId": None if row["currency_id"] is None else str(row["currency_id"]),
        "TimezoneId": row["timezone_id"],
        "IsMetricsUnit": row["metric"],
        "WorkContact": row["work_contact"],
    }
