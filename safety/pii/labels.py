"""Words that say what a number near them is: "phone", "order no.", "social security".

A label is looked for before the number, at most REACH characters away. What stands between them
may hold blanks, so each pattern has an entry in what a text may end with (`OPENS`).
"""

from __future__ import annotations

import re

REACH = 40  # characters between a label and the number that it is about
LONGEST = 24  # characters of a label

Tree = dict[str, "Tree"]


def words(*stems: str) -> str:
    """Return a pattern for whole words in any case; a stem with * goes on to the word's end.

    Each stem is followed from its first letter by others that begin like it (a trie): Python
    tries alternatives one by one, and a stream asks for these patterns at every word.
    """
    tree: Tree = {}
    for stem in stems:
        node = tree
        for letter in stem.lower():
            node = node.setdefault(letter, {})
        node[""] = {}
    return rf"(?<![^\W_]){_render(tree)}(?![^\W_])"


def scripts(*stems: str) -> str:
    """Return a pattern for words of scripts that put no blanks between words."""
    return "(?:" + "|".join(map(re.escape, stems)) + ")"


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


PHONE = (
    words(
        *"call called caller calling callback phon* ph telephon* tel tél mobil* cell cells".split(),
        *"cellphon* cellular* dial* ring rang text texted texting texts sms whatsapp* viber".split(),
        *"fax* reach reached reaching contact* hotline* helpline* landline* voicemail*".split(),
        *"answering answerphone* pager* handset* switchboard smartphone* telefon* handy* rufnummer*".split(),
        *"festnetz* anruf* angerufen ruf rufe rufen erreich* durchwahl* téléphon* portable".split(),
        *"appel* joindre joignable numéro teléfono* tfno móvil* movil* celular* llam* llám*".split(),
        *"chiam* telefoon* mobiel* bel bellen gebeld telemóvel* telemovel* ligar ligue".split(),
        *"komórk* zadzwo* dzwo* numer puhelin* soita τηλ* κινητό тел телефон* звон*".split(),
        *"позвон* мобильн* טלפון נייד".split(),
    )
    + "|"
    + scripts(*"电话 電話 手机 手機 携帯 전화 휴대폰 هاتف جوال फोन फ़ोन โทร".split())
)
"""What announces a phone number."""

ID = words(
    *"order* invoice* ticket* id ids serial* sn s/n version* ver build* part parts model sku".split(),
    *"code* isbn issn doi track* ref ref* commit port ports page* line* row* policy".split(),
    *"booking* confirmation reservation* receipt* transaction* timestamp* epoch unix zip".split(),
    *"postcode* plz room flight* seat* batch lot release* revision rev section* chapter*".split(),
    *"article* bug issue* pr hash key vin imei iccid ean upc gtin barcode* coordinate*".split(),
    *"lat lon latitude longitude price* cost* total* amount* size* score* error* step*".split(),
    *"account* acct case product* item* job* run runs process pid tx txn trx ein vat duns parcel* shipment* package*".split(),
    *"bestell* rechnung* auftrag* artikel* konto* sendung* commande* facture* compte".split(),
    *"référence* dossier pedido* factura* cuenta* ordine* fattura* conto factuur* zamówien*".split(),
)
"""What announces a number that is about a thing."""

CARD = (
    words(
        *"card* creditcard* debit* credit* visa mastercard* amex maestro discover jcb diners".split(),
        *"cc pan kreditkart* kart* bankkart* carte* cb tarjeta* carta cartão cartao karta karty".split(),
        *"карта карты карту".split(),
    )
    + "|"
    + scripts("卡", "カード", "카드")
)
"""What announces a payment card."""

SSN = words(*"ssn social itin tin taxpayer*".split())
"""What announces an American social security number."""

_SPOKEN = words(
    *"number* no nr num nº numer nummer* is was at on me us him her them back under unter au al".split(),
    *"le el est ist es to my our your".split(),
)
ANNOUNCED = re.compile(rf"(?:{PHONE})(?:[^\w\s]|\s|{_SPOKEN}){{0,10}}\Z")
"""A label of a phone at the end of what stands before a number, with next to nothing between."""

_FILLER = words(*"number* no nr num nº numer nummer* numéro n is was id code".split())
DIRECT = re.compile(rf"(?:{ID})(?:[^\w\s]|\s|{_FILLER}){{0,6}}\Z")
"""A label of a thing at the end of what stands before a number, with nothing else between."""

OPENS = (
    rf"(?:{CARD}|{SSN})[\s\S]{{0,{REACH}}}",
    rf"(?:{ID})(?:[^\w\s]|\s|{_FILLER}){{0,6}}",
)
