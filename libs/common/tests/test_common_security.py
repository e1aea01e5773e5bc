"""Tokens and the vault for meter passwords."""

import pytest
from cryptography.fernet import Fernet

from mts_common.security import SealedWithUnknownKey, Vault, new_token, token_digest


def test_a_token_has_256_bits_and_is_known_by_its_digest() -> None:
    token, digest = new_token()
    assert len(token) == 43
    assert digest == token_digest(token)
    assert new_token()[0] != token


def test_a_sealed_password_opens_with_any_configured_key() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    sealed = Vault([old]).seal("AAAA0000")
    assert "AAAA0000" not in sealed
    assert Vault([new, old]).open(sealed) == "AAAA0000"


def test_a_password_sealed_with_an_unknown_key_says_so_without_the_password() -> None:
    sealed = Vault([Fernet.generate_key().decode()]).seal("AAAA0000")
    with pytest.raises(SealedWithUnknownKey) as raised:
        Vault([Fernet.generate_key().decode()]).open(sealed)
    assert sealed not in str(raised.value)


def test_a_vault_does_not_show_its_keys() -> None:
    key = Fernet.generate_key().decode()
    assert key not in repr(Vault([key]))


def test_a_key_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="32 url-safe"):
        Vault(["short"])
