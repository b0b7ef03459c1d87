"""What is wrong on the way between a worker and CKAN's gateway. Imports the root of the tree."""

from __future__ import annotations

from .base import N_, AircanError, Blame


class GatewayFailed(AircanError):
    """A worker and its CKAN did not understand each other."""

    code = "gateway_failed"
    blame = Blame.CONFIG
    sentence = N_("The worker and this site did not understand each other.")
    advice = N_("The operators of this site can check it with: ckan aircan doctor.")


class GatewayUnreachable(GatewayFailed):
    """No connection, or no answer, for as long as it is borne. Facts: url, seconds."""

    code = "gateway_unreachable"
    blame = Blame.NETWORK
    retryable = True
    sentence = N_("The worker tried for %(seconds)s seconds but could not reach CKAN at %(url)s.")
    advice = N_("The operators of this site must make this address reachable for workers; then run again.")


class GatewayAnswer(GatewayFailed):
    """Something else than the gateway answered: a proxy, a sign-in page. Facts: url, http_status, found."""

    code = "gateway_answer"
    sentence = N_("The worker asked %(url)s and got status %(http_status)s with %(found)s, which is not from AirCan.")
    advice = N_(
        "The operators of this site must check the address of CKAN that workers are given, and any proxy or "
        "sign-in page in front of it."
    )


class TokenRefused(GatewayFailed):
    """The run token is not the job's, or there is no such job."""

    code = "token_refused"
    sentence = N_("The run token was refused.")
    advice = N_("The operators of this site must set the same key in CKAN and in the connection of the workers.")


class JobClosed(GatewayFailed):
    """The token is right, but the job is final. Facts: status."""

    code = "job_closed"
    blame = Blame.DATA
    sentence = N_("The run is over (%(status)s) and takes nothing any more.")
    advice = N_("Submit a new run if there is more to load.")


class BodyTooLarge(GatewayFailed):
    """A request is larger than the gateway, or a proxy before it, lets through. Facts: size_bytes, limit_bytes."""

    code = "body_too_large"
    sentence = N_("A request of %(size_bytes)s bytes to the gateway is larger than is let through.")
    advice = N_(
        "The operators of this site must raise the option ckanext.aircan_connector.gateway.max_body_bytes, and the "
        "limit of any proxy in front of CKAN, above this size."
    )


class RequestRefused(GatewayFailed):
    """A request to the gateway lacks something or holds a wrong value. Facts: reason."""

    code = "request_refused"
    blame = Blame.BUG
    sentence = N_("The gateway of this site cannot use a request of the worker: %(reason)s.")
    advice = N_("The operators of this site must give the workers the version of aircan that belongs to this site.")


class LengthMissing(RequestRefused):
    """A request with a body does not say how long it is. Facts: reason."""

    code = "length_missing"


class PartBroken(RequestRefused):
    """The body of a part is not whole, or is not what was agreed. Facts: number, reason, row (may be missing)."""

    code = "part_broken"
    sentence = N_("Part %(number)s of the rows did not arrive whole or is not made as agreed: %(reason)s.")
    advice = N_("Run again; if it fails again, send the id of this run to the operators of this site.")
