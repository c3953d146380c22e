"""What a text talks about and how it is made, as marks that a linear model can weigh.

Unlike the signals, no cue says that a text is an attempt: "password" is a word like others.
Words are known by their beginnings, in some twenty-five languages; texts are skeletons.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

WORD = re.compile(r"\w+")
MOST_CHARACTERS = 8_000  # that are looked at: the beginning, and the end of what is longer
END_CHARACTERS = 1_000
MOST_WORDS = 1_200

_SPACELESS = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")

# Beginnings of words; what is shorter than four letters stands for itself.
_BEGINNINGS: dict[str, str] = {
    "secret": "password passcode passphrase passwort kennwort contraseña senha wachtwoord lösenord "
    "hasło heslo пароль пароля паролем κωδικ σύνθημα parola şifre كلمة المرور السر رمز סיסמ "
    "पासवर्ड কোড পাসওয়ার্ড khẩu sandi secret secreto secreta segret segred geheim tajn секрет "
    "таємн μυστικ gizli bí rahasia lihim credentials login ключ clé chiave chave clave schlüssel "
    "passe p4ssw pin pasahero susi مخفی خفیہ سري السري गुप्त গোপন סודי κλειδ",
    "drop": "ignor disregard forget overlook bypass override discard vergiss vergess missacht "
    "oubli "
    "olvid dimentic esque desconsid vergeet negeer glöm zapomn zapomeň zignor забуд игнор ігнор "
    "αγνό ξέχνα ξεχά unut yoksay تجاهل انس نادیده فراموش שכח התעלם भूल अनदेख উপেক্ষা ভুলে "
    "نظرانداز quên lupakan abaikan kalimutan pansinin ignoreer ignorier",
    "rules": "instruct rule guideline directive direction constraint restriction polic anweisung "
    "regel vorgab vorschrift consigne règle instruccion instrucción indicacion reglas istruzion "
    "regol direttiv instruç instruco regras diretriz richtlijn instructie instruktion zasad "
    "polecen instrukc pravid pokyn инструкц правил указан вказів κανόν εντολ οδηγί kural talimat "
    "yönerge التعليمات تعليمات القواعد إرشاد قوانین دستور הכללים ההוראות नियम निर्देश "
    "নির্দেশ নিয়ম "
    "ہدایات اصول quytắc aturan perintah petunjuk patakaran tagubilin prompt",
    "prompt": "prompt systemp systeemp промпт προτροπ istem systémový initiali configurat "
    "konfigurat सिस्टम",
    "person": "user users customer client patient nutzer benutzer kund utilisateur utilisatrice "
    "cliente usuari utente klient gebruiker klant användar kund użytkown uživat пользовател "
    "користувач клиент χρήστ kullanıcı müşteri المستخدم العميل کاربر המשתמש उपयोगकर्ता ग्राहक "
    "ব্যবহারকারী صارف pengguna pelanggan gumagamit",
    "private": "live lives living resid address birthday birth born phone wohn habit vive vit mora "
    "bor mieszk bydl жив живет живёт μένει yaşıyor oturuyor يسكن تعيش زندگی גר रहता रहती থাকে "
    "رہتا tinggal nakatira email salary balance card initials",
    "tell": "tell show reveal print share give say spell repeat output display provide describe "
    "write encode translate confirm sag nenn zeig dis dime muestra muéstr mostra dimmi diga "
    "laat geef visa säg pokaż podaj ukaž řekni покаж скаж назов δείξ πες göster söyle اعرض أخبر "
    "بگو نشان הצג אמור दिखा बता দেখাও বলো دکھا tunjuk beri ipakita sabihin",
    "pretend": "imagine pretend suppose hypothe assume roleplay simulat emulat fiction actor stage "
    "scene game parallel universe dream virtual character persona story novel",
    "claim": "developer admin administrator engineer boss police officer investig auditor security "
    "debug debugging maintenance owner creator manager chef jefe supérieur patron начальник "
    "emergency expert troubleshoot authorized authorised",
    "encode": "base64 rot13 morse binary hex hexadecimal caesar cipher decode encode encoded "
    "reverse "
    "backwards leetspeak pig emoji emojis anagram acrostic shift concatenat combine",
    "free": "unfiltered uncensored unrestricted amoral immoral unethical illegal jailbreak refus "
    "limitless filter filters dan censor warnings disclaimer apologi moral morals openai chatgpt",
    "instead": "instead actually anyway stattdessen plutôt invece lugar",
}
# For scripts without spaces between words: whatever stands anywhere.
_ANYWHERE: dict[str, str] = {
    "secret": "密码 密碼 口令 密钥 密鑰 秘密 パスワード 暗証 秘密の 鍵 비밀번호 비밀 암호 열쇠 "
    "รหัสผ่าน ลับ รหัส",
    "drop": "忽略 忽視 忽视 无视 無視 忘记 忘掉 忘れ 不要理会 不用遵守 무시 잊어 잊고 ลืม "
    "ไม่ต้องสนใจ เพิกเฉย 遵守せ",
    "rules": "指令 指示 规则 規則 規定 要求 命令 ルール 指針 지시 지침 규칙 명령 กฎ คำสั่ง คำแนะนำ",
    "prompt": "提示词 提示詞 系统提示 プロンプト 프롬프트 พรอมต์",
    "person": "用户 用戶 客户 客戶 ユーザー 顧客 お客様 사용자 고객 ผู้ใช้ ลูกค้า",
    "private": "住在 住址 地址 生日 住んで 住所 살고 살아 주소 อาศัย ที่อยู่",
    "tell": "告诉 告訴 显示 說出 说出 给我看 重复 教えて 見せて 言って 알려 보여 말해 บอก แสดง",
    "pretend": "想象 假装 扮演 假设 想像 ふり 가정 상상 สมมติ",
    "claim": "老板 管理员 开发者 警察 上司 開発者 管理者 상사 관리자 개발자 경찰 หัวหน้า ตำรวจ",
    "encode": "编码 解码 倒序 エンコード 逆順 인코딩 เข้ารหัส",
    "free": "没有任何限制 无限制 制限なし 제한 ไม่มีข้อจำกัด",
    "instead": "而是 代わりに 대신 แทน",
}
_YOUR = re.compile(
    r"\b(?:your|dein\w{0,2}|ihr\w{0,2}|ton|ta|tes|votre|vos|tu|sus?|seus?|suas?|tuoi?|"
    r"tu[ae]|je|jouw|uw|din|ditt|twoj\w{0,3}|swój|твой|тво\w{1,3}|свой|сво\w{1,3})\b|"
    r"你的|您的|あなたの|너의|네 |ของคุณ"
)
_MY = re.compile(
    r"\b(?:my|our|mein\w{0,2}|unser\w{0,2}|mon|ma|mes|notre|nos|mi|mis|mio|mia|minha|"
    r"meu|mijn|mój|moje|мой|мою|мо\w{1,3})\b|我的|私の|제 |내 |ของฉัน"
)
_HOW = re.compile(
    r"\bhow (?:do|can|to|does|should|would|long|many|is|are)\b|\b(?:what|why) (?:is|are|does|"
    r"do) (?:a|an|the difference)\b|\bexplain\b|\breset\b|\bchange\b|\bforgot\b"
)
_SHAPES: dict[str, re.Pattern[str]] = {
    "blob": re.compile(
        r"(?<![\w/])(?=[a-z0-9+/]{0,40}\d)[a-z0-9+/]{20,400}={0,2}(?![\w/])|={2}['\"]"
    ),
    "hex": re.compile(r"\b(?:[0-9a-f]{2} ?){10,400}\b"),
    "bits": re.compile(r"(?:[01]{8} ?){3}|(?:[.-]{1,6} (?:/ )?){6}"),
    "spaced": re.compile(r"(?:\b\w[ .-]{1,2}){7}"),
    "leet": re.compile(r"\b[a-z]{1,8}[0134][a-z]{0,8}[0134]?[a-z]{1,8}\b"),
    "shots": re.compile(
        r"(?:\b(?:q|a|user|human|input|assistant|ai|output|question|answer|example \d)"
        r" ?:.{1,400}?){3}"
    ),
    "open_end": re.compile(r"(?:\b(?:a|answer|output|assistant|ai|response) ?:|->|:) ?['\"]?\Z"),
    "pieces": re.compile(
        r"\b\w{1,3} ?= ?['\"].{1,80}?\b\w{1,3} ?= ?['\"]|\bpart (?:1|one)\b.{1,80}\bpart "
        r"(?:2|two)\b|\b[a-z]\d? ?\+ ?[a-z]\d?\b"
    ),
    "tags": re.compile(
        r"\[/?(?:system|inst|user|admin|assistant)\b|<\|?/?(?:system|admin|instructions)|"
        r"<<sys|###? ?(?:system|instruction|new)|\"role\"|\bsystem ?(?:mode|override|"
        r"message|note)\b|additional instructions"
    ),
    "markup": re.compile(r"<!--|</?(?:html|body|code|table|caption|p|div)\b|-->"),
    "comment": re.compile(
        r"(?:<!--|#|//|/\*|<caption>)[^\n]{0,120}\b(?:say|state|tell|answer|output|ignore|"
        r"respond|advise|suggest|mention|include)"
    ),
    "task_on_text": re.compile(
        r"\b(?:summari[sz]e|output of this|this (?:code|table|paper|page|webpage|"
        r"article|resume|cv|e-?mail|text|document)|conclusions of|given this)\b"
    ),
    "braces": re.compile(r"[{}\[\]]"),
    "by_the_way": re.compile(
        r"\bby the way\b|\boh,? and\b|\bspeaking of\b|\btalking (?:of|about)\b|\bnow that"
    ),
    "second_person": re.compile(r"\byou(?:'re| are| will| must| can| have| were)\b"),
    "story": re.compile(
        r"\b(?:write|tell|create|describe) (?:me )?(?:a|an|the) (?:\w{1,20} ){0,2}(?:story|"
        r"poem|song|haiku|tale|script|scene|dialogue)\b"
    ),
}
_PAIRS = (
    ("drop", "rules"),
    ("tell", "secret"),
    ("tell", "prompt"),
    ("tell", "rules"),
    ("person", "private"),
    ("encode", "secret"),
    ("encode", "rules"),
    ("pretend", "secret"),
    ("pretend", "free"),
    ("claim", "secret"),
    ("claim", "prompt"),
    ("claim", "rules"),
    ("drop", "instead"),
    ("pretend", "person"),
)
NAMES: tuple[str, ...] = (
    *_BEGINNINGS,
    "your",
    "my",
    "how",
    *_SHAPES,
    *(f"{one}+{other}" for one, other in _PAIRS),
    "secret+your",
    "rules+your",
    "prompt+your",
    "secret+my",
    "secret+how",
    "secret+plain",
    "repeats",
    "many_questions",
)

_SHORTEST = 4


def _index(table: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for concept, words in table.items():
        for word in words.split():
            found.setdefault(word.casefold(), []).append(concept)
    return found


_KNOWN = _index(_BEGINNINGS)
_LENGTHS = tuple(sorted({len(word) for word in _KNOWN if len(word) >= _SHORTEST}))


def shown(seen: str) -> str:
    """Return the part of a skeleton that is looked at: all of it unless it is very long."""
    if len(seen) <= MOST_CHARACTERS:
        return seen
    return f"{seen[: MOST_CHARACTERS - END_CHARACTERS]} {seen[-END_CHARACTERS:]}"


def concepts(seen: str, words: Sequence[str]) -> set[str]:
    """Return what the words of a skeleton are about."""
    found: set[str] = set()
    for word in set(words):
        if hits := _KNOWN.get(word):
            found.update(hits)
        for length in _LENGTHS:
            if length >= len(word):
                break
            if hits := _KNOWN.get(word[:length]):
                found.update(hits)
    if _SPACELESS.search(seen):
        for concept, stretches in _ANYWHERE.items():
            if any(stretch in seen for stretch in stretches.split()):
                found.add(concept)
    return found


def cues(seen: str, words: Sequence[str]) -> list[float]:
    """Return 1.0 for each of NAMES that holds of a skeleton (see `shown`) with these words."""
    about = concepts(seen, words)
    about |= {name for name, pattern in _SHAPES.items() if pattern.search(seen)}
    about |= {
        name
        for name, pattern in (("your", _YOUR), ("my", _MY), ("how", _HOW))
        if pattern.search(seen)
    }
    about |= {f"{one}+{other}" for one, other in _PAIRS if one in about and other in about}
    for one in ("secret", "rules", "prompt"):
        if one in about and "your" in about:
            about.add(f"{one}+your")
    if "secret" in about:
        about |= {f"secret+{other}" for other in ("my", "how") if other in about}
        if not about & {"my", "how"}:
            about.add("secret+plain")
    if len(words) >= 20 and len(set(words)) * 4 < len(words):
        about.add("repeats")
    if seen.count("?") >= 4:
        about.add("many_questions")
    return [1.0 if name in about else 0.0 for name in NAMES]
