"""Settings: bounded, frozen, misspelt names refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import annotated_types
import pytest
from pydantic import ValidationError

from service.settings import PREFIX, Settings, SettingsError, load_settings

NUMBERS = [name for name, field in Settings.model_fields.items() if field.annotation in (int, float)]


def test_there_are_numbers_to_check() -> None:
    assert {"port", "max_sessions", "rate_limit_fps"} <= set(NUMBERS)


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_is_bounded_on_both_sides(name: str) -> None:
    kinds = {type(each) for each in Settings.model_fields[name].metadata}
    assert kinds & {annotated_types.Ge, annotated_types.Gt}
    assert kinds & {annotated_types.Le, annotated_types.Lt}


@pytest.mark.parametrize("name", NUMBERS)
def test_no_number_may_be_nan_or_infinite(name: str) -> None:
    for value in ("nan", "inf", "-inf"):
        with pytest.raises(ValidationError):
            Settings(**{name: value})


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_field_is_described(name: str) -> None:
    assert Settings.model_fields[name].description


CONTRACT = (
    "HOST",
    "PORT",
    "DEVICE",
    "RUNTIME",
    "PRECISION",
    "WEIGHTS",
    "STORE",
    "MAX_SESSIONS",
    "MAX_TARGETS",
    "SESSION_TTL_S",
    "MAX_FRAME_BYTES",
    "MAX_FRAME_PIXELS",
    "BATCH_MAX",
    "BATCH_WAIT_MS",
    "API_KEYS",
    "API_KEYS_FILE",
    "RATE_LIMIT_FPS",
    "CORS_ORIGINS",
    "LOG_FORMAT",
)


@pytest.mark.parametrize("name", CONTRACT)
def test_the_contracts_names_are_settings(name: str) -> None:
    assert name.lower() in Settings.model_fields


def test_defaults() -> None:
    settings = load_settings()
    assert (settings.port, settings.device, settings.store) == (8000, "auto", "memory://")
    assert settings.keys() == ()
    assert settings.origins() == ()


def test_the_environment_is_read_and_arguments_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIAMFC_PORT", "9000")
    monkeypatch.setenv("SIAMFC_MAX_SESSIONS", "7")
    settings = load_settings(port=9001)
    assert (settings.port, settings.max_sessions) == (9001, 7)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIAMFC_PORT", "")
    monkeypatch.setenv("SIAMFC_API_KEYS", "")
    settings = load_settings()
    assert (settings.port, settings.keys()) == (8000, ())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("SIAMFC_MAX_SESION", id="misspelt"),
        pytest.param("SIAMFC_", id="prefix-alone"),
        pytest.param("siamfc_max_sesion", id="misspelt-in-small-letters"),
    ],
)
def test_a_misspelt_name_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "3")
    with pytest.raises(SettingsError, match=f"no such setting: {name}"):
        load_settings()


def test_a_name_in_small_letters_is_read_like_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("siamfc_port", "9002")
    assert load_settings().port == 9002


def test_a_misspelt_argument_is_refused() -> None:
    with pytest.raises(SettingsError, match="SIAMFC_PROT"):
        load_settings(prot=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("PORT", "65536", id="port-too-high"),
        pytest.param("PORT", "-1", id="port-below-zero"),
        pytest.param("PORT", "http", id="port-in-words"),
        pytest.param("MAX_SESSIONS", "0", id="no-sessions"),
        pytest.param("MAX_TARGETS", "0", id="no-targets"),
        pytest.param("SESSION_TTL_S", "0", id="no-life"),
        pytest.param("BATCH_MAX", "0", id="empty-batches"),
        pytest.param("WINDOW", "65", id="window-too-wide"),
        pytest.param("PRECISION", "int3", id="precision"),
        pytest.param("RUNTIME", "abacus", id="runtime"),
        pytest.param("LOG_FORMAT", "xml", id="log-format"),
        pytest.param("STORE", "postgres://here", id="store-of-another-kind"),
        pytest.param("STORE", "memory://here", id="store-memory-with-a-host"),
        pytest.param("STORE", "redis://", id="store-without-a-host"),
        pytest.param("STORE", "redis://here:port", id="store-port-in-words"),
        pytest.param("STORE", "redis://here/sessions", id="store-database-in-words"),
        pytest.param("STORE", "redis://here?db=1", id="store-with-a-query"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError, match=f"^{PREFIX}{name}: "):
        load_settings()


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        pytest.param("a", ("a",), id="one"),
        pytest.param("a, b ,c", ("a", "b", "c"), id="spaces"),
        pytest.param("a,,b,", ("a", "b"), id="empty-ones"),
        pytest.param("a,b,a", ("a", "b"), id="twice"),
    ],
)
def test_keys(given: str, keys: tuple[str, ...]) -> None:
    assert load_settings(api_keys=given).keys() == keys


def test_keys_of_a_file_come_after_those_given(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("b\n\n  c  \na\n", encoding="utf-8")
    assert load_settings(api_keys="a", api_keys_file=file).keys() == ("a", "b", "c")
    assert load_settings(api_keys_file=file).keys() == ("b", "c", "a")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(None, "SIAMFC_API_KEYS_FILE cannot be read", id="missing"),
        pytest.param(b"\xff\xfe", "SIAMFC_API_KEYS_FILE cannot be read", id="not-text"),
        pytest.param(b"\n \n", "holds no key", id="empty"),
    ],
)
def test_a_key_file_that_gives_no_keys_is_refused(tmp_path: Path, content: bytes | None, text: str) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=text):
        load_settings(api_keys_file=file)


def test_keys_of_only_commas_do_not_open_the_server() -> None:
    with pytest.raises(SettingsError, match="holds no key"):
        load_settings(api_keys=" , ,")


def test_keys_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIAMFC_API_KEYS", "sesame")
    assert "sesame" not in repr(load_settings())
    monkeypatch.setenv("SIAMFC_PORT", "-1")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        pytest.param("", (), id="none"),
        pytest.param("*", ("*",), id="any"),
        pytest.param("https://a.example, https://b.example", ("https://a.example", "https://b.example"), id="two"),
    ],
)
def test_origins(given: str, origins: tuple[str, ...]) -> None:
    settings: Any = load_settings(cors_origins=given)
    assert settings.origins() == origins


@pytest.mark.parametrize(
    "url", ["redis://here", "redis://here:6380/2", "redis://:secret@here:6380/2", "rediss://me:secret@here"]
)
def test_a_shared_store(url: str) -> None:
    settings = Settings(store=url)
    assert settings.store == url
    assert "secret" not in repr(settings)


def test_a_refused_store_does_not_show_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + "STORE", "redis://:hunter2@here/sessions")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
