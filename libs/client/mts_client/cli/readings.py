"""`mts devices` and `mts measurements`: the registry's meters and what was read of them, over the carbonTRACK API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from mts_client.carbontrack import CarbonTrackClient, calls
from mts_client.cli.session import Session, print_json, print_text, session_of
from mts_client.rendering import readings

_DAY = timedelta(days=1)
_LONGEST_PAGE = 1000


def time_of(text: str) -> datetime:
    """A time of an option: ISO 8601, without a zone UTC."""
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


User = Annotated[str | None, typer.Option("--user", help="The user of the carbonTRACK API; default: MTS_USER.")]
AskPassword = Annotated[
    bool, typer.Option("--ask-password", help="Ask for the user's password, unseen; default: MTS_USER_PASSWORD.")
]
Page = Annotated[int, typer.Option("--page", min=0, help="With --json: which page, counted from 0.")]
Json = Annotated[bool, typer.Option("--json", help="Print one page of the server's JSON exactly as sent.")]


def devices(
    context: typer.Context,
    customer: Annotated[str | None, typer.Option(help="Those of the customer with this reference.")] = None,
    registered: Annotated[bool, typer.Option("--registered", help="Only those that are registered.")] = False,
    user: User = None,
    ask_password: AskPassword = False,
    as_json: Json = False,
    page: Page = 0,
) -> None:
    """List the devices (installed meters) that a user sees."""
    with _client(session_of(context), user, ask=ask_password) as client:
        if as_json:
            call = calls.devices(
                customer_reference=customer, registered_only=registered, page_index=page, page_size=_LONGEST_PAGE
            )
            print_json(client.send(call.as_sent()))
        else:
            found = list(client.all_devices(customer_reference=customer, registered_only=registered))
            print_text(readings.devices(found))


def measurements(
    context: typer.Context,
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="The DeviceID, 15 or 16 digits.")],
    from_time: Annotated[
        datetime | None,
        typer.Option("--from", parser=time_of, metavar="TIME", help="The first, UTC; default: a day before the last."),
    ] = None,
    to_time: Annotated[
        datetime | None, typer.Option("--to", parser=time_of, metavar="TIME", help="The last, included; default: now.")
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw the course of each value.")] = False,
    user: User = None,
    ask_password: AskPassword = False,
    as_json: Json = False,
    page: Page = 0,
) -> None:
    """Show what was read of a device, interval by interval: powers in kW. Times are UTC."""
    end = to_time or datetime.now(UTC)
    start = from_time or end - _DAY
    with _client(session_of(context), user, ask=ask_password) as client:
        if as_json:
            call = calls.measurements(device, from_time=start, to_time=end, page_index=page, page_size=_LONGEST_PAGE)
            print_json(client.send(call.as_sent()))
            return
        found = list(client.all_measurements(device, from_time=start, to_time=end))
    print_text(readings.plot(found, start, end) if plot and found else readings.measurements(found))


def _client(session: Session, user: str | None, *, ask: bool) -> CarbonTrackClient:
    found = session.config()
    name, password = session.credentials(user, ask=ask)
    return CarbonTrackClient(
        found.url, name, password, trust=found.ca_file, transport=session.transport, sleep=session.sleep
    )
