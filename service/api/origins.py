"""Which hosts and origins a request may name. Pure rules on header values.

A page of any site can make a browser send requests to a server on this machine or in its network, and a host name can
be rebound to such an address (DNS rebinding). Two rules stop both: a request may only name hosts that are this
server's, and a page may only call the server that it came from, or one that lists its origin.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,255}?)\.?(?::(\d{1,5}))?")
_PRIVATE_SUFFIXES = (".local", ".lan", ".internal", ".home.arpa", ".test")
"""Names that no stranger can register."""
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def split_host(value: str) -> tuple[str, str] | None:
    """Split a Host header into the name in lower case, without brackets, and the port; None if it is malformed."""
    match = _HOST.fullmatch(value.strip())
    return None if match is None else (match[1].strip("[]").lower(), match[2] or "")


class HostRules:
    """The hosts that a server answers to.

    Names of this machine (`localhost`, its loopback addresses), the address that the server is bound to, and the
    address that the connection came in on are always accepted. Beside them:

    - with a list, the hosts of the list, and no others;
    - without one, if the server is bound to a loopback address, no others;
    - without one, if it can be reached from elsewhere, every host of a request without an Origin header, because
      balancers and probes use names that the server cannot know; and of a request by a page the names that no stranger
      can make point here: addresses, names without a dot and under private suffixes. With API keys any name is
      accepted, because a rebound page has no key.
    """

    def __init__(self, bound: str, listed: tuple[str, ...], *, keyed: bool) -> None:
        """`bound`: the address to listen on; `listed`: host names, `*.example.org`, or `*` for any."""
        self._bound = bound.strip("[]").lower()
        self._listed = tuple(name.lower().rstrip(".") for name in listed)
        self._keyed = keyed
        self._private = self._bound == "localhost" or _is_loopback(self._bound)

    def accepts(self, name: str, reached: str, *, by_page: bool) -> bool:
        """Whether a request may name the host `name`. `reached`: the address that it came in on."""
        if _is_local(name) or name in (self._bound, reached.lower()):
            return True
        if self._listed:
            return any(_matches(name, each) for each in self._listed)
        if self._private:
            return False
        return not by_page or self._keyed or _unregistrable(name)


def same_origin(origin: str, host: str) -> bool:
    """Whether an Origin header names the server that the Host header names; a proxy may speak TLS for it."""
    parts, named = urlsplit(origin), split_host(host)
    theirs = split_host(parts.netloc)
    if named is None or theirs is None or parts.scheme not in _DEFAULT_PORTS:
        return False
    default = _DEFAULT_PORTS[parts.scheme]
    return theirs[0] == named[0] and (theirs[1] or default) == (named[1] or default)


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return name.endswith(pattern[1:])
    return pattern in ("*", name)


def _is_local(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost") or _is_loopback(name)


def _is_loopback(name: str) -> bool:
    address = _address(name)
    return address is not None and address.is_loopback


def _unregistrable(name: str) -> bool:
    return _address(name) is not None or "." not in name or name.endswith(_PRIVATE_SUFFIXES)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
