"""What differs from maker to maker among the IEC 62056-21 meters, as data (fact sheet iec62056-21, captures)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Maker:
    """One maker's manner.

    `items`: the readout list, `code` or `code=what` where the code alone does not say what it is; `*` after a code
    adds its values at the last billing resets. Digits are (before the point, after the point); energy registers roll
    over, demands grow wider. `status_digits`: hex digits in a survey header. `channel`: the spelling of a survey
    channel from C and D.E. `event_style`: how P.98 tells an event, by "status" word or by "code" and parameter.
    """

    identification: str
    items: tuple[str, ...]
    total_digits: tuple[int, int]
    rate_digits: tuple[int, int]
    demand_digits: tuple[int, int]
    time_form: str
    date_form: str
    moment_form: str
    code_form: str = "{}"
    status_digits: int = 4
    channel: str = "{c}.{de}"
    survey_decimals: int = 3
    refusal: str = "error"
    unknown: str = "(ERROR)"
    denied: str = "(ERROR)"
    empty: str = "(ERROR)"
    bare_values: bool = False
    keeps_survey: bool = True
    trailing_line_break: bool = True
    summer_status: int = 0
    utc_season: int = 0
    event_style: str = "status"


_REGISTERS = ("1.8.0", "1.8.1", "1.8.2", "2.8.0", "2.8.1", "2.8.2", "5.8.0", "6.8.0", "7.8.0", "8.8.0")

LG = Maker(
    identification="/LGZ5\\2ZMD3104407.B24",
    items=(
        *("F.F", "0.0.0", "0.0.1=serial", "0.9.1", "0.9.2", "0.9.6", "0.9.7", "0.1.0"),
        *(f"{code}*" for code in _REGISTERS),
        *("1.6.1*", "2.6.1*"),
        *("0.2.0=text:B24", "0.2.1=text:", "C.2.0=text:00000031", "C.2.1=parameters", "C.4.0=text:60C00088"),
        *("C.5.0=text:0020E030", "32.7.0", "52.7.0", "72.7.0", "31.7.0", "51.7.0", "71.7.0", "C.7.0"),
        "32.7.0=dips",
    ),
    total_digits=(6, 2),
    rate_digits=(6, 3),
    demand_digits=(3, 2),
    time_form="%H:%M:%S",
    date_form="%y-%m-%d",
    moment_form="%y-%m-%d %H:%M",
    channel="{c}.{de}.0",
    refusal="b0",
    unknown="(ER0001)",
    denied="(ER0002)",
    empty="(ERROR)",
    bare_values=True,
)

EMH = Maker(
    identification="/EMH5\\@\\201LZQJL0013F",
    items=(
        *("F.F", "0.0.0", "0.9.1", "0.9.2", "0.1.0", "0.1.2*=resets"),
        *(f"{code}*" for code in _REGISTERS),
        *("1.6.1*", "2.6.1*", "31.25=current:1", "51.25=current:2", "71.25=current:3", "32.25=voltage:1"),
        *("52.25=voltage:2", "72.25=voltage:3", "0.2.0=text:F0013", "C.7.0", "0.8.5=period"),
    ),
    total_digits=(6, 4),
    rate_digits=(6, 4),
    demand_digits=(2, 5),
    time_form="s%H%M%S",
    date_form="s%y%m%d",
    moment_form="%y%m%d%H%M",
    status_digits=8,
    survey_decimals=5,
    trailing_line_break=False,
    utc_season=2,
)

METCOM = Maker(
    identification="/MCS5\\@V0050710000051",
    items=(
        *("F.F", "0.0.0", "0.0.1=serial", "0.9.1", "0.9.2", "0.1.0", "0.1.2*=resets"),
        *("1.6.1*", "2.6.1*"),
        *(f"{code}*" for code in _REGISTERS if not code.startswith(("1.8.1", "1.8.2", "2.8.1", "2.8.2"))),
        *("32.7.0", "52.7.0", "72.7.0", "31.7.0", "51.7.0", "71.7.0"),
        *("0.3.3=text:3000", "0.2.2=text:00000001", "0.2.0=text:01.01.28", "0.2.0=text:02.02.13", "0.2.0=text:2.2.8"),
    ),
    total_digits=(5, 4),
    rate_digits=(5, 4),
    demand_digits=(1, 5),
    time_form="%H%M%S",
    date_form="%y%m%d",
    moment_form="%y%m%d%H%M",
    status_digits=2,
    channel="1-0:{c}.{de}.0",
    survey_decimals=5,
    refusal="nak",
    summer_status=0x08,
    event_style="code",
)

MT174 = Maker(
    identification="/ISk5MT174-0002",
    items=("0.9.2", "0.9.1", "0.0.0", *_REGISTERS, "1.6.1", "32.7.0", "52.7.0", "72.7.0", "F.F", "0.2.0=text:MT174-2"),
    total_digits=(7, 3),
    rate_digits=(7, 3),
    demand_digits=(4, 3),
    time_form="%H%M%S",
    date_form="s%y%m%d",
    moment_form="%y%m%d%H%M",
    code_form="1-0:{}*255",
    unknown="(ER23)",
    denied="(ER07)",
    empty="(ER39)",
    keeps_survey=False,
)

MAKERS = {"LG_E650_IEC": LG, "EMH_LZQJ": EMH, "IEC62056_21": METCOM, "ISKRA_MT174": MT174}
