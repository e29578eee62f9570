"""API keys by header and by subprotocol."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.keys import ANYONE, Keyring
from service.errors import Unauthorized

KEY, OTHER = "first-key", "second-key/with+signs="
RING = Keyring([KEY, OTHER])
BEARER = "base64url.bearer.authorization."


def encoded(key: str, *, padded: bool = False) -> str:
    text = base64.urlsafe_b64encode(key.encode()).decode()
    return BEARER + (text if padded else text.rstrip("="))


def test_without_keys_every_caller_is_the_same_owner() -> None:
    ring = Keyring([])
    assert not ring.asked
    assert ring.owner({}) == ring.owner({"authorization": "Bearer whatever"}) == ANYONE


@pytest.mark.parametrize(
    ("headers", "subprotocols"),
    [
        pytest.param({"authorization": f"Bearer {KEY}"}, (), id="header"),
        pytest.param({"authorization": f"bearer {KEY}"}, (), id="small-letters"),
        pytest.param({"authorization": f"Bearer   {KEY} "}, (), id="spaces"),
        pytest.param({}, (encoded(KEY),), id="subprotocol"),
        pytest.param({}, ("siamfc.v1", encoded(KEY)), id="subprotocol-after-ours"),
        pytest.param({}, (encoded(KEY, padded=True),), id="subprotocol-padded"),
        pytest.param({"authorization": "Bearer "}, (encoded(KEY),), id="empty-header-and-subprotocol"),
        pytest.param({"authorization": "Basic eA=="}, (encoded(KEY),), id="other-scheme-and-subprotocol"),
    ],
)
def test_a_known_key_is_accepted(headers: dict[str, str], subprotocols: tuple[str, ...]) -> None:
    assert RING.owner(headers, subprotocols) == RING.owner({"authorization": f"Bearer {KEY}"})


@pytest.mark.parametrize(
    ("headers", "subprotocols"),
    [
        pytest.param({}, (), id="none"),
        pytest.param({"authorization": ""}, (), id="empty"),
        pytest.param({"authorization": "Bearer"}, (), id="scheme-alone"),
        pytest.param({"authorization": KEY}, (), id="no-scheme"),
        pytest.param({"authorization": f"Basic {KEY}"}, (), id="other-scheme"),
        pytest.param({"authorization": f"Bearer {KEY}x"}, (), id="longer"),
        pytest.param({"authorization": f"Bearer {KEY[:-1]}"}, (), id="shorter"),
        pytest.param({"authorization": f"Bearer {KEY},{OTHER}"}, (), id="both"),
        pytest.param({}, ("siamfc.v1",), id="subprotocol-without-key"),
        pytest.param({}, (BEARER,), id="subprotocol-empty"),
        pytest.param({}, (BEARER + "A",), id="subprotocol-of-one-letter"),
        pytest.param({}, (BEARER + "_w",), id="subprotocol-not-utf8"),
        pytest.param({}, (BEARER + "ä",), id="subprotocol-not-ascii"),
        pytest.param({}, (encoded("stranger"),), id="subprotocol-unknown"),
        pytest.param({}, (encoded("stranger"), encoded(KEY)), id="subprotocol-second"),
        pytest.param({"authorization": "Bearer stranger"}, (encoded(KEY),), id="wrong-header-and-right-subprotocol"),
    ],
)
def test_anything_else_is_refused(headers: dict[str, str], subprotocols: tuple[str, ...]) -> None:
    with pytest.raises(Unauthorized):
        RING.owner(headers, subprotocols)


def test_owners_differ_and_do_not_reveal_the_key() -> None:
    owners = [RING.owner({"authorization": f"Bearer {key}"}) for key in (KEY, OTHER)]
    assert len({*owners, ANYONE}) == 3
    assert not any(key in owner for key in (KEY, OTHER) for owner in owners)


@given(st.text(min_size=1))
def test_any_key_survives_the_subprotocol(key: str) -> None:
    ring = Keyring([key])
    assert ring.owner({}, [encoded(key)]) == ring.owner({}, [encoded(key, padded=True)])


@given(st.text(), st.text())
def test_no_input_raises_anything_else(header: str, protocol: str) -> None:
    with pytest.raises(Unauthorized):
        RING.owner({"authorization": header}, [protocol, BEARER + protocol])
