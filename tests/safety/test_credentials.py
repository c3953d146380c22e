from __future__ import annotations

import string
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.credentials import Credentials, find, redact

A36, A40 = "a1B2c3D4e5" * 3 + "f6G7h8", "a1B2c3D4e5" * 4
KEY = "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7" + "x" * 12] * 12)

# (kind, credential); put together here so that no scanner takes this file for a leak
CREDENTIALS = [
    ("private_key", f"-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----"),
    (
        "private_key",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB12\n\n"
        f"{KEY}\n-----END RSA PRIVATE KEY-----",
    ),
    ("private_key", f"-----BEGIN OPENSSH PRIVATE KEY-----\n{KEY}\nAbC="),
    (
        "private_key",
        "-----BEGIN EC PRIVATE KEY-----\\n" + "AbCd" * 20 + "\\n-----END EC PRIVATE KEY-----",
    ),
    ("aws_key_id", "AKIA" + "QRSTUVWXYZ234567"),
    ("github_token", "ghp_" + A36),
    ("github_token", "github_pat_" + A40 + A40),
    ("gitlab_token", "glpat-" + "a1B2c3D4e5" * 2),
    ("slack_token", "xoxb-" + "123456789012-123456789012-" + "abcDEF123456"),
    ("slack_webhook", "https://hooks.slack.com/services/" + "T0000AAAA/B0000AAAA/" + A36[:24]),
    ("stripe_key", "sk_live_" + A36[:24]),
    ("google_key", "AIza" + A36[:35]),
    ("anthropic_key", "sk-ant-" + "api03-" + A40),
    ("openai_like_key", "sk-" + A40 + "a1B2c3D4"),
    ("huggingface_token", "hf_" + A36[:34]),
    ("package_registry_token", "npm_" + A36),
    ("sendgrid_key", "SG." + A36[:22] + "." + A40 + "abc"),
    (
        "json_web_token",
        "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".dozjgNryP4J3jVmNHl0w5N",
    ),
    ("azure_account_key", "AccountKey=" + "a1B2" * 21 + "cd=="),
    ("password_in_url", "admin:s3cr3tpass"),
    ("aws_secret", "aws_secret_access_key = " + A40),
    ("google_oauth_token", "ya29" + "." + A40),
    ("openai_key", "sk-" + "proj-" + A36[:20] + "T3Blbk" + "FJ" + A36[:20]),
    ("package_registry_token", "pypi-" + "AgE" + A40 + A36),
    ("twilio_key", "S" + "K" + "0123456789abcdef" * 2),
    ("telegram_token", "123456789" + ":AA" + A36[:33]),
]
HARMLESS = [
    "The file begins with -----BEGIN PRIVATE KEY----- and nobody should see what follows.",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "sha256: " + "0123456789abcdef" * 4,
    "run id 01998a5e-0000-7000-8000-000000000001",
    "Use sk-learn, the risk-free asset, or task-oriented-dialogue-systems-with-many-words.",
    "postgres://user:password@localhost/db and https://example.com:8443/@user",
    "AKIA" + "IOSFODNN7EXAMPLE",
    "Set API_KEY=your-key-here and GITHUB_TOKEN=ghp_xxx.",
    "Warsaw became the capital in 1596 [1][2].",
    "",
]


@pytest.mark.parametrize(("kind", "credential"), CREDENTIALS)
def test_a_credential_is_redacted(kind: str, credential: str) -> None:
    """Each known kind is taken out whole, and the words around it stay."""
    around = (
        ("db at postgres://", "@host:5432/x") if kind == "password_in_url" else ("Use ", " now.")
    )
    text = credential.join(around)
    redacted = redact(text)
    assert redacted == f"[redacted {kind.replace('_', ' ')}]".join(around)
    hits = Credentials().find(text)
    assert (kind, credential) in [(hit.kind, text[hit.start : hit.end]) for hit in hits]
    assert all(one.end <= after.start for one, after in pairwise(hits))


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_one_stays(text: str) -> None:
    """Hashes, ids, placeholders, examples and prose are left alone."""
    assert redact(text) == text
    assert Credentials().find(text) == []


@given(
    st.text(string.ascii_letters + string.digits + "-_.:/@= \n", max_size=200),
    st.sampled_from(CREDENTIALS),
    st.text(string.ascii_letters + " .\n", max_size=200),
)
def test_a_credential_never_survives(before: str, sample: tuple[str, str], after: str) -> None:
    """Whatever stands around it, white space apart, no long part of a credential gets through."""
    kind, credential = sample
    if kind == "password_in_url":
        return
    redacted = redact(f"{before} {credential} {after}")
    assert credential[-24:] not in redacted


def test_redacting_twice_is_redacting_once() -> None:
    """The replacement is no credential itself."""
    text = " ".join(credential for _, credential in CREDENTIALS)
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "unit", ["-----BEGIN PRIVATE KEY-----", "sk-", "eyJaaaaaaaaaaaa.", "aws secret ", "://a:bcdef"]
)
def test_long_hostile_text_is_bearable(unit: str) -> None:
    """Matching is linear: 640 000 characters are done; anything worse runs into the timeout."""
    find(unit * (640_000 // len(unit)))


@pytest.mark.parametrize("credential", [value for kind, value in CREDENTIALS if " " in value])
def test_a_cut_inside_a_credential_is_seen(credential: str) -> None:
    """At each blank inside a key the end of the text says that something is open."""
    end = credential.find("-----END")
    for place in (index for index, one in enumerate(credential) if one.isspace()):
        if end < 0 or place < end:
            assert Credentials.opens.search(credential[:place])


def test_an_aws_secret_is_waited_for() -> None:
    """What its label announces may come behind a blank."""
    secret = "a1B2c3D4e5" * 4
    assert redact(f"AWS secret key: {secret}") == "[redacted aws secret]"
    assert Credentials.opens.search("AWS secret key:")


def test_invisible_characters_do_not_hide_it() -> None:
    """A token with a zero-width space inside is taken out whole."""
    token = "ghp_" + A36
    assert redact(f"Use {token[:9]}\u200b{token[9:]} now") == "Use [redacted github token] now"
