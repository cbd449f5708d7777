"""`semantics = first-hit` against what Postfix 3.7.11 itself answered (tests/oracle): every row of the three
restrictions that policyd can stand in for, with all three recipient delimiters, through `policyctl load` and `replay`."""
import collections
import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CTL = os.path.join(ROOT, "build", "policyctl")
ORACLE = os.path.join(ROOT, "tests", "oracle")

# smtpd restriction -> the options that make policyd do the same.
RESTRICTIONS = {
    "reject_authenticated_sender_login_mismatch": {},
    "reject_sender_login_mismatch": {"unauthenticated": "reject_owned"},
    "reject_known_sender_login_mismatch": {"unlisted_sender": "permit", "unauthenticated": "reject_owned"},
}
# mydestination of the oracle's Postfix. example.org is among them: only then a Postfix 3.7.11 judges
# joe@example.com@example.org by joe@example.com, as the oracle's did (HACKING.md).
LOCAL_DOMAINS = "lab.test, mx.lab.test, localhost, [127.0.0.1], example.org"
# What smtpd makes of an address before it asks a policy server: the unquoted form.
SENDER_OF = {
    '"needless"@example.com': "needless@example.com",
    "@relay.example.org:joe@example.com": "joe@example.com",
    "joe(comment)@example.com": "joe@example.com",
}


def oracle_rows():
    with open(os.path.join(ORACLE, "sender-login-truth.tsv"), encoding="utf-8") as file:
        next(file)
        for line in file:
            yield line.rstrip("\n").split("\t")


def request(login, mail_from):
    login = "" if login == "(none)" else login
    sender = SENDER_OF.get(mail_from, mail_from)
    return f"request=smtpd_access_policy\nprotocol_state=MAIL\nsender={sender}\nsasl_username={login}\n\n"


def expected(reply):
    if reply.startswith("250 "):
        return "action=DUNNO"
    return "action=REJECT 5.7.1 " + reply.partition(">: ")[2].encode("ascii", "replace").decode()


def masked(action):
    """A byte that is not printable ASCII is one ? each in an answer, a character in Postfix's own."""
    return action.replace("?", "")


class FirstHit(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory(prefix="policyd-first-hit-")
        self.addCleanup(self.dir.cleanup)
        done = self.ctl([], "load", os.path.join(ORACLE, "sender-login.map"))
        self.assertEqual(done.returncode, 0, done.stderr)

    def ctl(self, options, *command, stdin=None):
        base = ["policyd.state_dir=" + self.dir.name + "/state", "policyd.user=" + os.environ.get("USER", "root"),
                "match.semantics=first-hit", "match.append_domain=lab.test", "match.local_domains=" + LOCAL_DOMAINS]
        words = [word for option in base + options for word in ("-o", option)]
        return subprocess.run([CTL, *words, *command], input=stdin, capture_output=True, text=True, check=False)

    def test_every_row(self):
        groups = collections.defaultdict(list)
        for login, mail_from, restriction, delimiter, reply in oracle_rows():
            if restriction in RESTRICTIONS:
                groups[restriction, delimiter.replace("(empty)", "")].append((login, mail_from, reply))
        self.assertEqual(len(groups), 9)
        checked = 0
        for (restriction, delimiter), rows in groups.items():
            options = [f"match.{key}={value}" for key, value in RESTRICTIONS[restriction].items()]
            options.append("match.recipient_delimiter=" + delimiter)
            done = self.ctl(options, "replay", "-", stdin="".join(request(*row[:2]) for row in rows))
            self.assertEqual(done.returncode, 0, done.stderr)
            answers = done.stdout.split("\n\n")[:-1]
            self.assertEqual(len(answers), len(rows))
            for (login, mail_from, reply), answer in zip(rows, answers):
                with self.subTest(login=login, sender=mail_from, restriction=restriction, delimiter=delimiter):
                    self.assertEqual(masked(answer), masked(expected(reply)))
                checked += 1
        self.assertEqual(checked, 4536)


if __name__ == "__main__":
    unittest.main()
