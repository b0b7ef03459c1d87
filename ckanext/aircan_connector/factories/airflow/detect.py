"""Which version of the API is there: said by an option, or found by asking for the version."""

from __future__ import annotations

from aircan.errors import FactoryMisconfigured, NotTheFactory, SignInRefused

from .answers import NAME, Link
from .api import Api
from .experimental import Experimental
from .signin import Remembered
from .stable import V1, V2

APIS: dict[str, type[Api]] = {"v2": V2, "v1": V1, "experimental": Experimental}
"""Every version, in the order in which it is asked for."""


def detect(link: Link, wanted: str, memory: Remembered, *, bare: bool = False) -> Api:
    """Return the API that is there.

    Args:
        link: the way to Airflow.
        wanted: a name of `APIS`, or auto.
        memory: where the answer is kept for this process.
        bare: through Amazon's API, where a path does not name a version.

    Raises:
        NotTheFactory: something answers, but none of the versions.
        SignInRefused: not even the version is told without another sign-in.
        FactoryUnreachable: nothing answers.
    """
    if wanted != "auto":
        if wanted not in APIS:
            raise FactoryMisconfigured(factory=NAME, reason=f"its option api is {wanted}")
        memory.api = wanted
    elif not memory.api:
        memory.api = _by_number(link) if bare else _by_asking(link)
    return APIS[memory.api](link, bare=bare)


def _by_asking(link: Link) -> str:
    heard = []
    for name, cls in APIS.items():
        answer = link.ask("GET", cls.root + cls.probe, open_door=True)
        if answer.status in (401, 403):
            answer = link.ask("GET", cls.root + cls.probe)
        body = answer.json
        if answer.status == 200 and isinstance(body, dict) and cls.is_probed(body):
            return name
        if answer.status in (401, 403):
            raise SignInRefused(factory=NAME, reason=answer.said or f"status {answer.status}")
        heard.append(answer)
    first = heard[0]
    if 300 <= first.status < 400:
        reason = f"it leads to {first.location.partition('?')[0]}"
    else:
        reason = f"status {first.status}, {first.kind or 'no body'}, where Airflow would tell its version"
    raise NotTheFactory(factory=NAME, url=link.url, reason=reason)


def _by_number(link: Link) -> str:
    answer = link.ask("GET", "/version")
    body = answer.json
    number = str(body.get("version") or "") if isinstance(body, dict) else ""
    if answer.status != 200 or not number[:1].isdigit():
        raise NotTheFactory(answer.said, factory=NAME, url=link.url, reason=f"status {answer.status}")
    return "v1" if int(number.partition(".")[0]) < 3 else "v2"
