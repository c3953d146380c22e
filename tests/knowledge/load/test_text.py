"""Text comes out right whatever encoding it was saved in, and noise is not text."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from core.errors import DocumentUnreadable
from knowledge.load.text import decode, load

SAMPLES = {
    "de": "Größe und Übermaß: die Straße führt über Füße.\n",
    "fr": "Le café est à côté de la forêt, où l'été commence.\n",
    "es": "El niño comió piñas y después durmió la siesta en Málaga.\n",
    "en": "The café is “open” – it’s naïve.\n",
    "sv": "Räksmörgås på åtta öre i Malmö.\n",
    "pl": "Zażółć gęślą jaźń, proszę państwa.\n",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy.\n",
    "ru": "Привет, как дела? Это обычный русский текст.\n",
    "el": "Καλημέρα κόσμε, τι κάνετε σήμερα;\n",
    "tr": "Şişli'de çok güzel bir gün geçirdik, ığdır.\n",
    "he": "שלום עולם, מה שלומך היום?\n",
    "ar": "مرحبا بالعالم، كيف حالك اليوم؟\n",
    "ja": "これは日本語のテキストです。東京は大きいです。\n",
    "zh": "中文文本。北京是首都。\n",
    "ko": "안녕하세요 세계. 한국어 문장입니다.\n",
}


@pytest.mark.parametrize(
    ("language", "encoding"),
    [
        *((language, "utf-8") for language in SAMPLES),
        *((language, "utf-8-sig") for language in ("de", "ja")),
        *((language, "utf-16") for language in ("de", "ja")),
        *((language, "utf-32") for language in ("de", "ja")),
        *(("de", "utf-16-le"), ("fr", "utf-16-be")),
        *((language, "cp1252") for language in ("de", "fr", "es", "en", "sv")),
        *(("pl", "cp1250"), ("cs", "cp1250"), ("ru", "cp1251"), ("ru", "koi8-r")),
        *(("el", "cp1253"), ("tr", "cp1254"), ("ja", "shift_jis"), ("ja", "euc_jp")),
        *(("zh", "gb18030"), ("zh", "big5"), ("ko", "euc_kr")),
        *(("pl", "iso8859_2"), ("ru", "iso8859_5"), ("ru", "cp866"), ("de", "cp850")),
        *(("el", "iso8859_7"), ("he", "cp1255"), ("ar", "cp1256"), ("ja", "iso2022_jp")),
    ],
)
def test_common_encodings_are_recognised(language: str, encoding: str) -> None:
    """The text is the one that was written, without a byte order mark."""
    text, _ = decode(SAMPLES[language].encode(encoding))
    assert text == SAMPLES[language]


@pytest.mark.parametrize("encoding", ["cp1252", "cp850", "mac_roman"])
def test_a_few_letters_beyond_ascii_suffice(encoding: str) -> None:
    """A long English text with one German name reads right."""
    text = "The contract between Müller and us ends in twelve months. " * 20
    assert decode(text.encode(encoding))[0] == text


def test_what_was_assumed_is_said() -> None:
    """A guess can be checked: the encoding is in the metadata, unless it is UTF-8."""
    assert load(Path("a.txt"), SAMPLES["ru"].encode("koi8-r")).metadata == {"encoding": "koi8_r"}
    assert load(Path("a.txt"), SAMPLES["ru"].encode()).metadata == {}


def test_line_ends_become_one_kind() -> None:
    """Windows and old Mac line ends read as LF."""
    assert decode(b"a\r\nb\rc\n")[0] == "a\nb\nc\n"


def test_nul_bytes_are_replaced() -> None:
    """Postgres stores no NUL, and one of them must not lose the rest."""
    assert decode(b"hello\0world")[0] == "hello\ufffdworld"


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_not_text(seed: int) -> None:
    """Random bytes are refused and not guessed into some code page."""
    with pytest.raises(DocumentUnreadable):
        decode(random.Random(seed).randbytes(2000))


def test_many_control_characters_are_not_text() -> None:
    """Bytes below 32 may be valid UTF-8, but they are no text."""
    with pytest.raises(DocumentUnreadable):
        decode(bytes(range(32)) * 20)


def test_a_text_is_called_like_its_file() -> None:
    """Without a better name the title is the file's, without its suffix."""
    document = load(Path("Release notes.txt"), b"Fixed.")
    assert (document.title, document.parts[0].text) == ("Release notes", "Fixed.")
