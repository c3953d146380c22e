"""Commands in an answer that destroy, open a back door or switch protection off.

Somebody may paste them. Found is the whole command with what it is aimed at; its name alone, as
prose has it, and the same command on a file or folder of one's own are not.
High is what cannot be undone or lets strangers in; medium is what careful people do on purpose.
Not found: the same effects by other means; a program that deletes files has no form of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from safety.verdict import Hit, Severity, apart

_REMOVED = "[command removed]"
_END = r"(?=[\s;&|)\"'`,]|\Z)"
_QUOTE = r"[\"']?"
_ROOTS = (
    r"(?:/(?:\*|\.\*?)?|~/?\*?|\$\{?HOME\}?/?\*?"
    r"|/(?:bin|boot|dev|etc|home|lib|lib64|opt|proc|root|sbin|srv|sys|usr|var)/?\*?)"
)
_DISK = r"/dev/(?:sd[a-z]|hd[a-z]|vd[a-z]|xvd[a-z]|nvme\d|mmcblk\d|disk\d|mapper/)[\w-]*"
_SHELL = r"(?:sudo\s{1,3}(?:-\w{1,4}\s{1,3})?)?(?:(?:ba|z|da|k|c)?sh|python3?|perl|ruby|node)\b"
_OPTIONS = r"(?:\s{1,3}-{1,2}[\w=-]{1,40}){0,6}"


@dataclass(frozen=True, slots=True)
class _Danger:
    kind: str
    severity: Severity
    needs: str  # in lower case; without it nothing is looked for
    pattern: re.Pattern[str]
    opens: str  # what the beginning of one looks like at the end of a text


def _danger(kind: str, severity: Severity, needs: str, pattern: str, opens: str = "") -> _Danger:
    return _Danger(kind, severity, needs, re.compile(pattern, re.I | re.A), opens)


_DANGERS = (
    _danger(
        "destroys_files",
        "high",
        "rm",
        rf"\brm(?=(?:\s{{1,3}}-{{1,2}}[\w=-]{{1,40}}){{0,5}}\s{{1,3}}-(?:\w{{0,6}}r|-recursive))"
        rf"{_OPTIONS}(?:\s{{1,3}}--)?\s{{1,3}}{_QUOTE}{_ROOTS}{_QUOTE}{_END}",
        r"\brm(?:\s{1,3}-{1,2}[\w=-]{0,40}){0,6}\s{1,3}",
    ),
    _danger(
        "destroys_files",
        "high",
        "rmtree",
        rf"\brmtree\(\s{{0,3}}[\"']{_ROOTS}[\"']",
        r"\brmtree\(\s{1,3}",
    ),
    _danger(
        "destroys_files",
        "high",
        "find",
        rf"\bfind\s{{1,3}}{_ROOTS}\s[^\n|;]{{0,120}}(?:-delete\b|-exec\s{{1,3}}rm\b)",
        rf"\bfind\s{{1,3}}(?:{_ROOTS}\s[^\n|;]{{0,120}})?",
    ),
    _danger(
        "destroys_disk",
        "high",
        "mkfs",
        rf"\bmkfs(?:\.\w{{2,10}})?(?:\s{{1,3}}-\S{{1,30}}(?:\s{{1,3}}[\w.]{{1,20}})?){{0,4}}"
        rf"\s{{1,3}}{_DISK}",
        r"\bmkfs(?:\.\w{2,10})?(?:\s{1,3}-\S{1,30}(?:\s{1,3}[\w.]{1,20})?){0,4}\s{1,3}",
    ),
    _danger(
        "destroys_disk",
        "high",
        "of=",
        rf"\bdd(?:\s{{1,3}}\w{{2,8}}=\S{{1,80}}){{0,5}}\s{{1,3}}of={_DISK}",
        r"\bdd(?:\s{1,3}\w{2,8}=\S{0,80}){0,5}\s{1,3}",
    ),
    _danger("destroys_disk", "high", ">", rf">\s{{0,3}}{_DISK}", r">\s{1,3}"),
    _danger(
        "destroys_disk",
        "high",
        "/dev/",
        rf"\b(?:shred|wipefs|blkdiscard)(?:{_OPTIONS}(?:\s\d{{1,3}})?){{1,2}}\s{{1,3}}{_DISK}",
        rf"\b(?:shred|wipefs|blkdiscard)(?:{_OPTIONS}(?:\s\d{{1,3}})?){{1,2}}\s{{1,3}}",
    ),
    _danger(
        "fork_bomb",
        "high",
        "{",
        r"(?P<f>[:\w]{1,20})\s?\(\s?\)\s?\{\s{0,3}(?P=f)\s?\|\s?(?P=f)\s?&\s?\}\s?;?\s?(?P=f)",
        r"[:\w]{1,20}\s?\(\s?\)(?:\s?\{[\s:\w|&]{0,40}\}?\s?;?)?\s",
    ),
    _danger(
        "opens_files",
        "high",
        " /",
        rf"\bch(?:mod|own){_OPTIONS}\s{{1,3}}-(?:\w{{0,4}}R\w{{0,4}}|-recursive){_OPTIONS}"
        rf"\s{{1,3}}[\w+=:,.-]{{1,40}}\s{{1,3}}(?:/\*?|/(?:etc|usr|bin|home|var)/?){_END}",
        rf"\bch(?:mod|own){_OPTIONS}(?:\s{{1,3}}[\w+=:,.-]{{1,40}})?\s{{1,3}}",
    ),
    _danger(
        "runs_download",
        "medium",
        "|",
        rf"\b(?:curl|wget)\s[^\n|;]{{1,300}}\|\s{{0,3}}{_SHELL}",
        r"\b(?:curl|wget)\s(?:\s{0,2}(?:-|[\"'$]|https?:)[^\n|;]{0,300}(?:\|\s{0,3}(?:sudo\s{1,3}(?:-\w{1,4}\s)?)?)?)?",
    ),
    _danger(
        "runs_download",
        "medium",
        "(",
        r"\b(?:ba|z|da)?sh\s{1,3}(?:-c\s{1,3}[\"']?\$|<)\((?:curl|wget)\s[^\n)]{1,300}\)"
        r"|\b(?:iex|invoke-expression)[\s(&\"']{1,6}(?:iwr|irm|curl|invoke-webrequest"
        r"|invoke-restmethod|new-object\s{1,3}(?:system\.)?net\.webclient)\b[^\n]{0,200}",
        r"\b(?:ba|z|da)?sh\s{1,3}(?:-c\s{0,3}|<|-c\s{1,3}[\"']?\$\((?:curl|wget)\s[^\n)]{0,300}"
        r"|<\((?:curl|wget)\s[^\n)]{0,300})?"
        r"|\b(?:iex|invoke-expression)[\s(&\"']{1,6}(?:\S{3,40}\s[^\n]{0,200})?",
    ),
    _danger(
        "reverse_shell",
        "high",
        "/dev/tcp/",
        r"(?:\b(?:ba)?sh\s{1,3}-i\s{1,3})?[<>&0-9\s]{0,6}/dev/(?:tcp|udp)/[\w.$-]{1,80}/[\w$]{1,8}",
        r"\b(?:ba)?sh\s{1,3}(?:-i\s{0,3}[<>&0-9\s]{0,6})?",
    ),
    _danger(
        "reverse_shell",
        "high",
        "-e",
        r"\b(?:nc|ncat|netcat)(?:\s{1,3}-\w{1,6}){0,4}\s{1,3}[\w.:-]{0,80}\s{0,3}[\d]{0,5}\s{0,3}"
        r"-\w{0,3}e\s{1,3}(?:/bin/)?(?:ba|z|da)?sh|\b(?:nc|ncat|netcat)(?:\s{1,3}-\w{1,6}){0,4}"
        r"\s{1,3}-\w{0,3}[ec]\s{1,3}(?:/bin/)?(?:(?:ba|z|da)?sh|cmd\.exe)",
        r"\b(?:nc|ncat|netcat)(?:\s{1,3}[\w.:-]{1,80}){0,5}\s{1,3}",
    ),
    _danger(
        "hidden_command",
        "high",
        "powershell",
        r"\bpowershell(?:\.exe)?(?:\s{1,3}-\w{1,20}(?:\s{1,3}(?!-)\w{1,20})?){0,6}"
        r"\s{1,3}-e(?:nc?|ncodedcommand)?\s{1,3}[A-Za-z0-9+/=]{16,}",
        r"\bpowershell(?:\.exe)?(?:\s{1,3}-\w{1,20}(?:\s{1,3}(?!-)\w{1,20})?){0,6}\s{1,3}",
    ),
    _danger(
        "hidden_command",
        "high",
        "base64",
        rf"\bbase64\s{{1,3}}-(?:d|D|-decode)\b[^\n|;]{{0,80}}\|\s{{0,3}}{_SHELL}",
        r"\bbase64\s{1,3}(?:-(?:d|D|-decode)\b[^\n|;]{0,80}(?:\|\s{0,3}(?:sudo\s)?)?)?",
    ),
    _danger(
        "disables_protection",
        "medium",
        " ",
        r"\b(?:setenforce\s{1,3}0\b|ufw\s{1,3}disable\b|iptables\s{1,3}(?:-F|--flush)\b"
        r"|csrutil\s{1,3}disable\b|spctl\s{1,3}--master-disable\b"
        r"|systemctl\s{1,3}(?:stop|disable|mask)(?:\s{1,3}--now)?\s{1,3}"
        r"(?:firewalld|ufw|auditd|apparmor|fail2ban)\b"
        r"|set-mppreference\s{1,3}-disable\w{4,40}\s{1,3}(?:\$true|1)"
        r"|netsh\s{1,3}advfirewall\s{1,3}set\s{1,3}\w{4,20}\s{1,3}state\s{1,3}off\b)",
        r"\b(?:setenforce|ufw|iptables|csrutil|spctl)\s{1,3}"
        r"|\bsystemctl\s{1,3}(?:(?:stop|disable|mask)\s{1,3}(?:--now\s{1,3})?)?"
        r"|\bset-mppreference\s{1,3}(?:-disable\w{4,40}\s{1,3})?"
        r"|\bnetsh\s{1,3}(?:advfirewall\s{1,3}(?:set\s{1,3}(?:\w{4,20}\s{1,3}(?:state\s{1,3})?)?)?)?",
    ),
    _danger(
        "drops_data",
        "high",
        "drop",
        r"\bdrop\s{1,3}(?:database|schema)\s{1,3}(?:if\s{1,3}exists\s{1,3})?[\w\"`\[\].]{1,80}"
        r"(?:\s{1,3}(?:cascade|with\s{1,3}\(\s?force\s?\)))?\s{0,2};",
        r"\bdrop\s{1,3}(?:(?:database|schema)\s{1,3}(?:if\s{1,3}(?:exists\s{1,3})?)?"
        r"(?:[\w\"`\[\].]{1,80}\s{1,3}(?:(?:cascade|with|force)\s{1,3})?)?)?",
    ),
    _danger(
        "drops_data",
        "medium",
        ";",
        r"\b(?:drop\s{1,3}table\s{1,3}(?:if\s{1,3}exists\s{1,3})?|truncate\s{1,3}(?:table\s{1,3})?"
        r"|delete\s{1,3}from\s{1,3})[\w\"`\[\].]{1,80}(?:\s{1,3}cascade)?\s{0,2};",
        r"\b(?:drop\s{1,3}(?:table\s{1,3}(?:if\s{1,3}(?:exists\s{1,3})?)?)?|truncate\s{1,3}"
        r"(?:table\s{1,3})?|delete\s{1,3}(?:from\s{1,3})?)(?:[\w\"`\[\].]{1,80}\s{1,3})?",
    ),
    _danger(
        "destroys_disk",
        "high",
        ":",
        r"\bformat\s{1,3}[a-z]:(?:\s{1,3}/\w{1,8}(?::\w{1,8})?){1,4}"
        r"|\b(?:del|erase|rd|rmdir)(?:\s{1,3}/[a-z]){1,4}\s{1,3}[\"']?(?:[a-z]:\\(?:windows\\?|users"
        r"\\?)?\*?(?:\.\*)?|%systemroot%|%userprofile%)[\"']?(?=[\s;&|\"'`]|\Z)"
        r"|\bremove-item(?=[^\n;|]{0,100}-recurse)[^\n;|]{0,60}\s[\"']?[a-z]:\\"
        r"(?:windows\\?|users\\?)?\*?[\"']?(?=[\s;&|\"'`]|\Z)[^\n;|]{0,60}",
        r"\bformat\s{1,3}(?:[a-z]:\s{1,3})?(?:/\w{1,8}(?::\w{1,8})?\s{1,3}){0,4}"
        r"|\b(?:del|erase|rd|rmdir)\s{1,3}(?:/[a-z]\s{1,3}){0,4}"
        r"|\bremove-item\s[^\n;|]{0,160}",
    ),
    _danger(
        "destroys_system",
        "high",
        " ",
        r"\bvssadmin(?:\.exe)?\s{1,3}delete\s{1,3}shadows\b"
        r"|\breg(?:\.exe)?\s{1,3}delete\s{1,3}[\"']?hk(?:lm|cr|ey_local_machine|ey_classes_root)\\"
        r"[\w\\]{0,60}[\"']?|\bcipher\s{1,3}/w:[a-z]:|\bkill\s{1,3}-(?:9|KILL)\s{1,3}-1\b",
        r"\b(?:vssadmin|reg)(?:\.exe)?\s{1,3}(?:delete\s{1,3})?|\bcipher\s{1,3}"
        r"|\bkill\s{1,3}(?:-(?:9|KILL)\s{1,3})?",
    ),
)
# Without one of these words, or one of these signs, nothing is looked for.
_COMMANDS = """
rm rmtree find mkfs dd shred wipefs blkdiscard chmod chown curl wget sh bash zsh dash iex invoke nc
ncat netcat powershell base setenforce ufw iptables csrutil spctl systemctl set netsh drop truncate
delete format del erase rd rmdir remove vssadmin reg cipher kill
"""
_NAMES = frozenset(_COMMANDS.split())
_WORD = re.compile(r"[a-z]+")
_SIGNS = re.compile(r"[{>(]|/dev/")
_OPENS = re.compile(
    "(?:" + "|".join(one.opens for one in _DANGERS if one.opens) + r")\Z", re.I | re.A
)


class Code:
    """Finds dangerous commands; see Detector and Holder."""

    name = "code"
    opens = None

    def holds(self, text: str) -> int:
        """See Holder.holds."""
        if not _may_hold(text):
            return len(text)
        match = _OPENS.search(text)
        return match.start() if match else len(text)

    def find(self, text: str) -> Sequence[Hit]:
        """Return each command; see Detector.find."""
        if not _may_hold(text):
            return ()
        lower = text.lower()
        return apart(
            Hit(one.kind, one.severity, match.start(), match.end(), _REMOVED)
            for one in _DANGERS
            if one.needs in lower
            for match in one.pattern.finditer(text)
        )


def _may_hold(text: str) -> bool:
    if not _NAMES.isdisjoint(_WORD.findall(text.lower())):
        return True
    return _SIGNS.search(text) is not None
