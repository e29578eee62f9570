"""Hosts that are this server's, origins that may call."""

from __future__ import annotations

import pytest

from service.api.origins import HostRules, same_origin, split_host

REACHED = "172.18.0.5"


@pytest.mark.parametrize(
    ("value", "split"),
    [
        pytest.param("example.org", ("example.org", ""), id="name"),
        pytest.param("Example.ORG:8000", ("example.org", "8000"), id="name-and-port"),
        pytest.param("example.org.", ("example.org", ""), id="dot-at-the-end"),
        pytest.param("127.0.0.1:80", ("127.0.0.1", "80"), id="address"),
        pytest.param("[::1]:80", ("::1", "80"), id="address-6"),
        pytest.param("siamfc_tracker", ("siamfc_tracker", ""), id="container"),
        pytest.param("", None, id="empty"),
        pytest.param("a b", None, id="space"),
        pytest.param("a:b", None, id="port-of-letters"),
        pytest.param("a@b", None, id="user"),
        pytest.param("a/b", None, id="path"),
        pytest.param("::1", None, id="address-6-without-brackets"),
    ],
)
def test_host_headers(value: str, split: tuple[str, str] | None) -> None:
    assert split_host(value) == split


LOOPBACK = HostRules("127.0.0.1", (), keyed=False)
EVERYWHERE = HostRules("0.0.0.0", (), keyed=False)
KEYED = HostRules("0.0.0.0", (), keyed=True)
LISTED = HostRules("0.0.0.0", ("tracker.example.org", "*.trackers.example"), keyed=False)


@pytest.mark.parametrize(
    ("rules", "name", "plain", "by_page"),
    [
        pytest.param(LOOPBACK, "localhost", True, True, id="loopback-localhost"),
        pytest.param(LOOPBACK, "app.localhost", True, True, id="loopback-below-localhost"),
        pytest.param(LOOPBACK, "127.0.0.1", True, True, id="loopback-address"),
        pytest.param(LOOPBACK, "::1", True, True, id="loopback-address-6"),
        pytest.param(LOOPBACK, REACHED, True, True, id="loopback-as-reached"),
        pytest.param(LOOPBACK, "evil.example", False, False, id="loopback-rebound"),
        pytest.param(LOOPBACK, "localhost.evil.example", False, False, id="loopback-looks-local"),
        pytest.param(LOOPBACK, "tracker", False, False, id="loopback-short-name"),
        pytest.param(EVERYWHERE, "tracker", True, True, id="everywhere-container"),
        pytest.param(EVERYWHERE, "192.168.1.7", True, True, id="everywhere-address"),
        pytest.param(EVERYWHERE, "nas.local", True, True, id="everywhere-private-suffix"),
        pytest.param(EVERYWHERE, "evil.example", True, False, id="everywhere-rebound"),
        pytest.param(KEYED, "evil.example", True, True, id="keyed"),
        pytest.param(LISTED, "tracker.example.org", True, True, id="listed"),
        pytest.param(LISTED, "a.trackers.example", True, True, id="listed-below"),
        pytest.param(LISTED, "trackers.example", False, False, id="listed-not-itself"),
        pytest.param(LISTED, "localhost", True, True, id="listed-localhost"),
        pytest.param(LISTED, REACHED, True, True, id="listed-as-reached"),
        pytest.param(LISTED, "evil.example", False, False, id="listed-other"),
        pytest.param(LISTED, "192.168.1.7", False, False, id="listed-other-address"),
    ],
)
def test_hosts(rules: HostRules, name: str, plain: bool, by_page: bool) -> None:
    assert rules.accepts(name, REACHED, by_page=False) is plain
    assert rules.accepts(name, REACHED, by_page=True) is by_page


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        pytest.param("http://a:8000", "a:8000", True, id="equal"),
        pytest.param("http://a", "a", True, id="default-port"),
        pytest.param("http://a", "a:80", True, id="default-port-written"),
        pytest.param("https://a", "a", True, id="behind-tls"),
        pytest.param("https://a", "a:443", True, id="behind-tls-written"),
        pytest.param("http://A", "a", True, id="case"),
        pytest.param("http://[::1]:8000", "[::1]:8000", True, id="address-6"),
        pytest.param("http://a:8001", "a:8000", False, id="port"),
        pytest.param("http://b", "a", False, id="name"),
        pytest.param("http://a.evil.example", "a", False, id="longer-name"),
        pytest.param("null", "a", False, id="null"),
        pytest.param("null", "null", False, id="null-as-host"),
        pytest.param("file://", "", False, id="file"),
        pytest.param("chrome-extension://a", "a", False, id="extension"),
        pytest.param("", "", False, id="empty"),
    ],
)
def test_origins(origin: str, host: str, same: bool) -> None:
    assert same_origin(origin, host) is same
