"""Words that say what a number near them is: "phone", "order no.", "social security".

A label is looked for before the number, at most REACH characters away. What a detector may still
be waiting for at the end of a text (`Detector.opens`) begins at the label, so the lists here serve
both: finding, and holding.
"""

from __future__ import annotations

import re

REACH = 40  # characters between a label and the number that it is about
LONGEST = 24  # characters of a label

# Scripts that put no blanks between words: their letters are no part of a number beside them.
SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
WORD = rf"[^\W{SPACELESS}]"
"""A letter, digit or underscore of a script that separates its words."""
EDGE = rf"(?<!{WORD})(?<!{WORD}[-./_])"
"""Where a number begins: not inside a word, an id with dashes or a path."""

_EDGE = re.compile(EDGE)
_START = re.compile(r"[(+]{0,2}\d+")

Tree = dict[str, "Tree"]


def starts(text: str) -> list[int]:
    """Return where numbers may begin: at each group of digits, and at a bracket or plus before."""
    found = []
    for match in _START.finditer(text):
        begin = match.start()
        if _EDGE.match(text, begin):
            found.append(begin)
            if not text[begin].isdecimal():
                found.append(begin + 1 + (not text[begin + 1].isdecimal()))
    return found


def words(*lists: str) -> str:
    """Return a pattern for the words in `lists`, in any case; one with * goes on to its end.

    Words that begin alike share their beginning (a trie): Python tries alternatives one by one,
    and a stream asks for these patterns at every word.
    """
    tree: Tree = {}
    for stem in " ".join(lists).split():
        node = tree
        for letter in stem.lower():
            node = node.setdefault(letter, {})
        node[""] = {}
    return rf"(?<![^\W_]){_render(tree)}(?![^\W_])"


def _render(tree: Tree) -> str:
    branches = []
    for letter, below in sorted(tree.items(), reverse=True):
        if letter == "":
            branches.append("")
        elif letter == "*":
            branches.append(r"\w{0,14}")
        else:
            one = re.escape(letter) if letter == letter.upper() else f"[{letter}{letter.upper()}]"
            branches.append(one + _render(below))
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"


def distance(label: re.Pattern[str], text: str, start: int, reach: int = REACH) -> int | None:
    """Return how many characters lie between the nearest label and `start`; None: too many."""
    found = None
    for match in label.finditer(text, max(0, start - reach - LONGEST), start):
        if start - match.end() <= reach:
            found = start - match.end()
    return found


PHONES = (
    "call called caller calling callback phon* ph telephon* tel tél mobil* cell cells cellphon* "
    "cellular* dial* ring rang text texted texting texts sms whatsapp* viber fax* reach reached "
    "reaching contact* hotline* helpline* landline* voicemail* answering answerphone* pager* "
    "handset* switchboard smartphone* telefon* handy* rufnummer* festnetz* anruf* angerufen ruf "
    "rufe rufen erreich* durchwahl* téléphon* portable appel* joindre joignable numéro teléfono* "
    "tfno móvil* movil* celular* llam* llám* chiam* telefoon* mobiel* bel bellen gebeld "
    "telemóvel* telemovel* ligar ligue komórk* zadzwo* dzwo* numer puhelin* soita τηλ* κινητό "
    "тел телефон* звон* позвон* мобильн* טלפון נייד"
)
_PHONES_SPACELESS = (
    *("电话", "電話", "手机", "手機", "携帯", "전화", "휴대폰", "هاتف", "جوال"),
    *("फोन", "फ़ोन", "โทร"),
)
PHONE = f"(?:{words(PHONES)}|{'|'.join(_PHONES_SPACELESS)})"
"""What announces a phone number."""

THINGS = (
    "order* invoice* ticket* id ids serial* sn s/n version* ver build* part parts model sku code* "
    "isbn issn doi track* ref ref* commit port ports page* line* row* policy booking* "
    "confirmation reservation* receipt* transaction* timestamp* epoch unix zip postcode plz room "
    "flight* seat* batch lot release* revision rev section* chapter* article* bug issue* pr hash "
    "key vin imei iccid ean upc gtin barcode* coordinate* lat lon latitude longitude price* cost* "
    "total* amount* size* score* error* step* account* acct case product* item* job* run runs "
    "process pid tx txn trx ein vat duns parcel* shipment* package* bestell* rechnung* auftrag* "
    "artikel* konto* sendung* commande* facture* compte référence dossier pedido* factura* "
    "cuenta* ordine* fattura* conto factuur* zamówien*"
)
"""What announces a number that is about a thing."""

CARDS = (
    "card* creditcard* debit* credit* visa mastercard* amex maestro discover jcb diners cc pan "
    "kreditkart* kart* bankkart* carte* cb tarjeta* carta cartão cartao karta karty карта карты "
    "карту"
)
_CARDS_SPACELESS = ("卡", "カード", "카드")
CARD = f"(?:{words(CARDS)}|{'|'.join(_CARDS_SPACELESS)})"
"""What announces a payment card."""

SSN = "ssn social itin tin taxpayer*"
"""What announces an American social security number."""

_SPOKEN = words(
    "number* no nr num nº numer nummer* is was at on me us him her them back under unter au al "
    "le el est ist es to my our your"
)
ANNOUNCED = re.compile(rf"{PHONE}(?:[^\w\s]|\s|{_SPOKEN}){{0,10}}\Z")
"""A label of a phone at the end of what stands before a number, with next to nothing between."""

FILLER = (
    rf"(?:[^\w\s]|\s|{words('number* no nr num nº numer nummer* numéro n is was id code')})"
    "{0,6}"
)
"""What may stand between a label and the number right behind it."""
DIRECT = re.compile(rf"{words(THINGS)}{FILLER}\Z")
"""A label of a thing at the end of what stands before a number, with nothing else between."""

SPACELESS_LABELS = (*_PHONES_SPACELESS, *_CARDS_SPACELESS)
# Where such a word was cut, its first letter is the beginning of it.
CUT = "|".join(sorted({word[:n] for word in SPACELESS_LABELS
                       for n in range(1, len(word)) if word[0] > "\u0e00"}))  # fmt: skip
