#!/usr/bin/env python3
"""Writes NAME.answers beside each NAME.txt here: the bytes that policyd must answer to that transcript.

A second implementation of the union rules (policyd(8), "The decision"), as far as tests/transcripts/table and policyd.ini need
them: no `expires`, the default delimiter, no realm. It shares no code with policyd, so that the two check each other."""
import pathlib
import re
import sys
import unicodedata

HERE = pathlib.Path(__file__).resolve().parent
STATES = {b"CONNECT", b"EHLO", b"HELO", b"MAIL", b"RCPT", b"DATA", b"END-OF-MESSAGE", b"VRFY", b"ETRN"}
DUNNO = b"action=DUNNO\n\n"
REPLIES = {
    "bad-sender": "REJECT 5.1.7 Bad sender address: {sender}",
    "routing-operator": "REJECT 5.7.1 Sender address rejected: {sender} can be read as an address of others",
    "denied-by-row": "550 5.7.1 {login} may not use {sender} of {domain}",
    "not-owned": "REJECT 5.7.1 Sender address rejected: not owned by user {login}",
}


def fold(text):
    return unicodedata.normalize("NFC", text.casefold())


def canonical(raw):
    """(local, domain) of an address; None if it has no canonical form; domain "" for a bare user."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if re.search(r"[\x00-\x1f\x7f]", text):
        return None
    local, at, domain = text.rpartition("@")
    if not at:
        local, domain = text, ""
    else:
        try:
            domain = domain.removesuffix(".").encode("idna").decode("ascii").lower()
        except UnicodeError:
            return None
    if not local or (at and not domain):
        return None
    return fold(local), domain


def readings(raw):
    """The sender, and what Postfix may make of it."""
    yield raw
    while True:
        local, at, _ = raw.rpartition(b"@")
        local = local if at else raw
        if b"@" in local:
            raw = local
        elif b"!" in local:
            host, _, user = local.partition(b"!")
            raw = user + b"@" + host
        elif b"%" in local:
            user, _, host = local.rpartition(b"%")
            raw = user + b"@" + host
        else:
            return
        yield raw


def read_table():
    rows = []
    for line in (HERE / "table").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        key, owners = re.fullmatch(r'((?:"(?:\\.|[^"])*"|\S)+)\s+(.*)', line).groups()
        key = re.sub(r'"((?:\\.|[^"])*)"', lambda m: re.sub(r"\\(.)", r"\1", m[1]), key)
        rows.append((key, re.split(r"[,\s]+", owners)))
    return rows


TABLE = read_table()


def names(key, local, domain):
    """Whether the row with this key names the sender."""
    key_local, at, key_domain = key.rpartition("@")
    if not at:
        return domain == "" and key == local
    if not key_local:
        return domain.endswith(key_domain) if key_domain.startswith(".") else domain == key_domain
    glob = ".*".join(re.escape(piece) for piece in fold(key_local).split("*"))
    base = re.sub(r"(?s)(?<=.)\+.*", "", local, count=1)
    candidates = {local} if "*" in key_local else {local, base}
    return domain == key_domain and any(re.fullmatch(glob, one, re.S) for one in candidates)


def row_word(owners, login):
    """What one row says to this login: the most particular owner counts; True allows, False denies, None says nothing."""
    for form in (fold(login), "@" + fold(login).rpartition("@")[2], "*"):
        for word in (False, True):
            if ("" if word else "!") + form in map(fold, owners):
                return word
    return None


def judge_reading(login, raw):
    address = canonical(raw)
    if address is None:
        return "bad-sender"
    words = {row_word(owners, login) for key, owners in TABLE if names(key, *address)}
    if False in words:
        return "denied-by-row"
    own = canonical(login.encode())
    base = re.sub(r"(?s)(?<=.)\+.*", "", address[0], count=1)
    if True in words or own in (address, (base, address[1])):
        return None
    return "not-owned"


def refusal(request):
    """The reason to refuse, or None."""
    login, sender = request.get(b"sasl_username", b""), request.get(b"sender", b"")
    if request.get(b"protocol_state") not in STATES or not login or not sender:
        return None
    all_readings = list(readings(sender))
    reasons = [reason for reason in (judge_reading(login.decode(), raw) for raw in all_readings) if reason]
    if reasons and len(all_readings) > 1:
        return "routing-operator"
    return reasons[0] if reasons else None


def answer(request_bytes):
    request = dict(line.split(b"=", 1) for line in request_bytes.split(b"\n") if line)
    reason = refusal(request)
    if reason is None:
        return DUNNO
    sender = request[b"sender"]
    address = canonical(sender)
    text = REPLIES[reason].format(login=request[b"sasl_username"].decode("latin-1"), sender=sender.decode("latin-1"),
                                  domain=address[1] if address else "")
    line = "action=" + re.sub(r"[^ -~]", "?", text)
    assert len(line) <= 500, line
    return line.encode() + b"\n\n"


def requests_of(transcript):
    """The requests of a transcript, each with its empty line."""
    return [piece + b"\n\n" for piece in transcript.split(b"\n\n")[:-1]]


def main():
    for path in sorted(HERE.glob("*.txt")):
        answers = b"".join(answer(request) for request in requests_of(path.read_bytes()))
        path.with_suffix(".answers").write_bytes(answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
