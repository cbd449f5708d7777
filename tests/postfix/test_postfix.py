"""policyd behind a real Postfix: what an SMTP client hears, and what check-postfix says of it.

One private Postfix serves the whole file, with one smtpd service for each way to wire policyd; its
restriction lists name the sockets of several policyd, one for each configuration. The services
whose name begins with `broken_` hold the mistakes that silently disable the check: the same service
shows that a foreign sender passes and that check-postfix says why.
"""

import os
import shutil
import unittest

from checkpostfix import check
from policyproc import PolicyProcess, missing_programs
from postfixlab import Lab, write_config

JOE, MARY, ADMIN = "joe@example.com", "mary@example.com", "admin@example.com"
UNICODE = "ünïcode@example.com"
CEO = "ceo@victim.example"
LOCAL = "somebody@lab.test"
REMOTE = "somebody@elsewhere.test"
PASSWORD = "secret"
DOWN = "policyd is down, try again later"

TABLE = f"""\
# sender            owners
joe@example.com     {JOE}
alias@example.com   {JOE}
sales@example.com   {JOE}, {MARY}
{CEO}               {MARY}
"""
FIRST_HIT_TABLE = f"""\
{JOE}               {JOE}
alias@example.com   {JOE}, {MARY}
@example.com        {ADMIN}
"""

RCPT_OK = "250 2.1.5 Ok"


def check_of(socket_name, default_action="DEFER_IF_PERMIT 4.3.5 " + DOWN):
    """The restriction that a person pastes from main.cf.fragment, for that socket."""
    return (f"check_policy_service {{ unix:policyd/{socket_name}.sock, timeout=10s, "
            f"{{ default_action = {default_action} }} }}")


def refused(sender, login):
    """The exact reply to a sender that the login does not own."""
    return (f"554 5.7.1 <{sender}>: Sender address rejected: "
            f"Sender address rejected: not owned by user {login}")


class Fixture:
    """The Postfix and the policyd processes that all tests share."""

    lab = None
    policyd = {}

    @classmethod
    def open(cls):
        if missing_programs():
            raise RuntimeError(f"not built: {' '.join(missing_programs())}; run make first")
        cls.lab = Lab()
        try:
            cls._start_policyd()
            cls._start_postfix()
        except Exception:
            cls.close()
            raise

    @classmethod
    def _start_policyd(cls):
        folder = os.path.join(cls.lab.queue_dir, "policyd")
        os.mkdir(folder, 0o755)
        first_hit = {"semantics": "first-hit", "local_domains": "lab.test"}
        for name, table, match, options in (
                ("policy", TABLE, {}, {}),
                ("monitor", TABLE, {}, {"mode": "monitor"}),
                ("first_hit", FIRST_HIT_TABLE, first_hit, {}),
                ("victim", TABLE, {}, {})):
            process = PolicyProcess(os.path.join(cls.lab.root, name), f"unix:{folder}/{name}.sock",
                                    "postfix", match=match, **options)
            cls.policyd[name] = process
            process.load(table)
            process.start()

    @classmethod
    def _start_postfix(cls):
        lab = cls.lab
        names = "smtpd_sender_restrictions"
        lab.main[names] = check_of("policy") + ", permit_mynetworks"
        lab.main["smtpd_sender_login_maps"] = f"texthash:{lab.config_dir}/senders"
        write_config(os.path.join(lab.config_dir, "senders"), FIRST_HIT_TABLE)
        lab.add_smtpd("policy")
        lab.add_smtpd("chrooted", chroot=True, smtpd_sasl_auth_enable="no",
                      smtpd_authorized_xclient_hosts="127.0.0.0/8")
        lab.add_smtpd("at_mail", smtpd_delay_reject="no")
        lab.add_smtpd("no_utf8", smtputf8_enable="no")
        for name in ("monitor", "first_hit", "victim", "nobody"):
            lab.add_smtpd(name, **{names: check_of(name)})
        lab.add_smtpd("postfix_itself", **{names: "reject_authenticated_sender_login_mismatch"})
        cls._add_broken()
        for login in (JOE, MARY, ADMIN, UNICODE):
            lab.add_user(login, PASSWORD)
        lab.start()

    @classmethod
    def _add_broken(cls):
        def filled(text):
            text = text.replace("ASKED", check_of("policy"))
            return text.replace("UNREACHABLE", "unix:policyd/nobody.sock")

        for name, (overrides, _) in BROKEN.items():
            cls.lab.add_smtpd(name, **{key: filled(text) for key, text in overrides.items()})

    @classmethod
    def close(cls):
        for process in cls.policyd.values():
            process.kill()
        cls.policyd.clear()
        if cls.lab is not None:
            cls.lab.close()


# Service: (what master.cf overrides, what check-postfix must say).
BROKEN = {
    "broken_missing": (
        {"smtpd_sender_restrictions": "permit_mynetworks"},
        "check_policy_service is missing"),
    "broken_mynetworks": (
        {"smtpd_sender_restrictions": "permit_mynetworks, ASKED"},
        "permit_mynetworks stands before the check"),
    "broken_sasl": (
        {"smtpd_sender_restrictions": "permit_sasl_authenticated, ASKED"},
        "permit_sasl_authenticated stands before the check"),
    "broken_class": (
        {"smtpd_restriction_classes": "ours", "ours": "permit",
         "smtpd_sender_restrictions": "ours, ASKED"},
        "permit stands before the check"),
    "broken_recipient_list": (
        {"smtpd_sender_restrictions": "",
         "smtpd_recipient_restrictions": "permit_sasl_authenticated, ASKED"},
        "permit_sasl_authenticated stands before the check"),
    "broken_data_list": (
        {"smtpd_sender_restrictions": "", "smtpd_data_restrictions": "ASKED"},
        "asked in this list policyd always answers DUNNO"),
    "broken_client_list": (
        {"smtpd_sender_restrictions": "", "smtpd_delay_reject": "no",
         "smtpd_client_restrictions": "ASKED"},
        "this list is read before MAIL FROM"),
    "broken_warn": (
        {"smtpd_sender_restrictions": "warn_if_reject ASKED"},
        "warn_if_reject stands before the check"),
    "broken_dunno": (
        {"smtpd_sender_restrictions":
         "check_policy_service { UNREACHABLE, timeout=10s, default_action=DUNNO }"},
        "every sender passes"),
    "broken_digits": (
        {"smtpd_sender_restrictions":
         "check_policy_service { UNREACHABLE, timeout=10s, default_action=451 }"},
        "every sender passes"),
    "broken_global_dunno": (
        {"smtpd_sender_restrictions": "check_policy_service UNREACHABLE",
         "smtpd_policy_service_default_action": "DUNNO"},
        "every sender passes"),
}


def setUpModule():
    Fixture.open()


def tearDownModule():
    Fixture.close()


class Case(unittest.TestCase):
    maxDiff = None

    def open(self, service, login=None):
        """An SMTP session that ends with the test."""
        session = Fixture.lab.session(service)
        self.addCleanup(session.smtp.close)
        if login:
            session.auth(login, PASSWORD)
        return session

    def assert_rcpt(self, session, sender, reply):
        """MAIL is accepted (Postfix delays the refusal) and RCPT gets exactly this reply."""
        self.assertEqual(session.offer(sender, LOCAL), ["250 2.1.0 Ok", reply])


class Enforced(Case):
    def test_own_sender(self):
        session = self.open("policy", JOE)
        self.assertRegex(session.send(JOE, REMOTE), r"^250 2\.0\.0 Ok: queued as ")

    def test_foreign_sender(self):
        self.assert_rcpt(self.open("policy", JOE), CEO, refused(CEO, JOE))

    def test_sender_that_no_row_names(self):
        sender = "nobody@example.com"
        self.assert_rcpt(self.open("policy", JOE), sender, refused(sender, JOE))

    def test_owner_of_the_foreign_sender(self):
        self.assert_rcpt(self.open("policy", MARY), CEO, RCPT_OK)

    def test_case_of_the_sender(self):
        session = self.open("policy", JOE)
        self.assert_rcpt(session, "Alias@Example.COM", RCPT_OK)
        self.assert_rcpt(session, "Ceo@Victim.Example", refused("Ceo@Victim.Example", JOE))

    def test_alias(self):
        self.assert_rcpt(self.open("policy", JOE), "alias@example.com", RCPT_OK)
        self.assert_rcpt(self.open("policy", MARY), "alias@example.com",
                         refused("alias@example.com", MARY))

    def test_shared_sender(self):
        for login in (JOE, MARY):
            self.assert_rcpt(self.open("policy", login), "sales@example.com", RCPT_OK)

    def test_extension(self):
        session = self.open("policy", JOE)
        self.assert_rcpt(session, "joe+news@example.com", RCPT_OK)
        self.assert_rcpt(session, "alias+a+b@example.com", RCPT_OK)
        self.assert_rcpt(session, "ceo+x@victim.example", refused("ceo+x@victim.example", JOE))

    def test_null_sender(self):
        self.assert_rcpt(self.open("policy", JOE), "", RCPT_OK)

    def test_unauthenticated(self):
        self.assert_rcpt(self.open("policy"), CEO, RCPT_OK)
        self.assert_rcpt(self.open("policy"), "", RCPT_OK)

    def test_failed_login_is_no_login(self):
        session = self.open("policy")
        self.assertTrue(session.command("AUTH PLAIN AGpvZQB3cm9uZw==").startswith("535"))
        self.assert_rcpt(session, CEO, RCPT_OK)

    def test_several_recipients(self):
        session = self.open("policy", JOE)
        rcpts = (LOCAL, REMOTE, "third@lab.test")
        self.assertEqual(session.offer(JOE, *rcpts), ["250 2.1.0 Ok"] + [RCPT_OK] * 3)
        self.assertEqual(session.offer(CEO, *rcpts), ["250 2.1.0 Ok"] + [refused(CEO, JOE)] * 3)

    def test_senders_in_turn_in_one_session(self):
        session = self.open("policy", JOE)
        for _ in range(3):
            self.assert_rcpt(session, JOE, RCPT_OK)
            self.assert_rcpt(session, CEO, refused(CEO, JOE))

    def test_routing_operators(self):
        session = self.open("policy", JOE)
        for sender in ("victim.example!ceo", "ceo%victim.example", "ceo%victim.example@lab.test",
                       "victim.example!ceo@example.com", '"ceo@victim.example"',
                       '"ceo@victim.example"@example.com', "ceo@victim.example.", "@a,@b:" + CEO):
            with self.subTest(sender):
                mail, rcpt = session.offer(sender, LOCAL)
                self.assertEqual(mail, "250 2.1.0 Ok")
                self.assertRegex(rcpt, r"^554 5\.7\.1 <.+>: Sender address rejected: .")

    def test_forged_mail_auth_parameter(self):
        session = self.open("policy", JOE)
        self.assertEqual(session.command(f"MAIL FROM:<{CEO}> AUTH={MARY}"), "250 2.1.0 Ok")
        self.assertEqual(session.command(f"RCPT TO:<{LOCAL}>"), refused(CEO, JOE))

    def test_reply_to_a_unicode_login_is_ascii(self):
        session = self.open("policy", UNICODE)
        self.assertEqual(session.command(f"MAIL FROM:<{UNICODE}> SMTPUTF8"), "250 2.1.0 Ok")
        self.assertEqual(session.command(f"RCPT TO:<{LOCAL}>"), RCPT_OK)
        session.command("RSET")
        self.assert_rcpt(session, CEO, refused(CEO, "??n??code@example.com"))

    def test_smtputf8_off_hides_the_login(self):
        self.assert_rcpt(self.open("no_utf8", UNICODE), CEO, refused(CEO, "??n??code@example.com"))


class Wirings(Case):
    def test_refused_at_mail_without_delay(self):
        session = self.open("at_mail", JOE)
        self.assertEqual(session.command(f"MAIL FROM:<{CEO}>"), refused(CEO, JOE))
        self.assertEqual(session.command(f"MAIL FROM:<{JOE}>"), "250 2.1.0 Ok")

    def test_chrooted_smtpd_finds_the_socket(self):
        session = self.open("chrooted")
        session.xclient_login(JOE)
        self.assert_rcpt(session, JOE, RCPT_OK)
        self.assert_rcpt(session, CEO, refused(CEO, JOE))

    def test_monitor_accepts_what_would_be_refused(self):
        session = self.open("monitor", JOE)
        self.assert_rcpt(session, CEO, RCPT_OK)
        self.assertRegex(session.send("victim.example!ceo", LOCAL), r"^250 2\.0\.0 ")

    def test_default_action_where_nobody_listens(self):
        self.assert_rcpt(self.open("nobody", JOE), JOE,
                         f"450 4.3.5 <{JOE}>: Sender address rejected: {DOWN}")


class FirstHit(Case):
    def test_first_row_decides(self):
        session = self.open("first_hit", ADMIN)
        self.assert_rcpt(session, "nobody@example.com", RCPT_OK)
        self.assert_rcpt(session, JOE, refused(JOE, ADMIN))

    def test_own_address_needs_a_row(self):
        self.assert_rcpt(self.open("first_hit", MARY), MARY, refused(MARY, MARY))

    def test_same_as_postfix_itself(self):
        senders = (JOE, MARY, "alias@example.com", "joe+x@example.com", "Joe@Example.com", "joe",
                   "nobody@example.com", "joe@sub.example.com", CEO, "victim.example!ceo",
                   "joe%example.com@lab.test", "example.com!joe", "joe@example.com.", "")
        for login in (JOE, MARY, ADMIN):
            ours, theirs = self.open("first_hit", login), self.open("postfix_itself", login)
            for sender in senders:
                with self.subTest(login=login, sender=sender):
                    said = [session.offer(sender, LOCAL)[1][:3] for session in (ours, theirs)]
                    self.assertIn(said, (["250", "250"], ["554", "553"]))


class Restarts(Case):
    def setUp(self):
        self.policyd = Fixture.policyd["victim"]
        self.addCleanup(self.restore)

    def restore(self):
        self.policyd.kill()
        self.policyd.load(TABLE)
        self.policyd.start()

    def test_killed_and_started_between_two_mails(self):
        session = self.open("victim", JOE)
        self.assert_rcpt(session, JOE, RCPT_OK)
        self.policyd.kill()
        self.policyd.start()
        self.assertRegex(session.send(JOE, LOCAL), r"^250 2\.0\.0 ")
        self.assert_rcpt(session, CEO, refused(CEO, JOE))

    def test_down_answers_default_action(self):
        session = self.open("victim", JOE)
        self.assert_rcpt(session, JOE, RCPT_OK)
        self.policyd.kill()
        for sender in (JOE, CEO):
            self.assert_rcpt(session, sender,
                             f"450 4.3.5 <{sender}>: Sender address rejected: {DOWN}")
        self.policyd.start()
        self.assert_rcpt(session, JOE, RCPT_OK)
        self.assert_rcpt(session, CEO, refused(CEO, JOE))

    def test_table_loaded_between_two_mails(self):
        session = self.open("victim", JOE)
        self.assert_rcpt(session, CEO, refused(CEO, JOE))
        self.policyd.load(f"{CEO} {JOE}\n")
        self.assert_rcpt(session, CEO, RCPT_OK)
        self.assert_rcpt(session, "alias@example.com", refused("alias@example.com", JOE))
        self.policyd.load(TABLE)
        self.assert_rcpt(session, CEO, refused(CEO, JOE))
        self.assert_rcpt(session, "alias@example.com", RCPT_OK)

    def test_sigterm_ends_with_zero(self):
        session = self.open("victim", JOE)
        self.assert_rcpt(session, JOE, RCPT_OK)
        self.assertEqual(self.policyd.stop(), 0)


class CheckPostfix(Case):
    def setUp(self):
        self.folder = os.path.join(Fixture.lab.root, "checked")
        os.mkdir(self.folder)
        self.addCleanup(shutil.rmtree, self.folder)

    def check(self, *services):
        """Run check-postfix on this Postfix's configuration with these smtpd services alone."""
        Fixture.lab.write(self.folder, services)
        code, lines, errors = check("-c", self.folder)
        self.assertEqual(errors, "")
        return code, lines

    def test_this_postfix(self):
        code, lines = self.check("policy", "monitor", "first_hit", "victim", "nobody")
        self.assertEqual(code, 0, lines)
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("nothing to do", lines[0])

    def test_notes_alone_are_no_error(self):
        code, lines = self.check("policy", "chrooted", "at_mail", "no_utf8")
        self.assertEqual(code, 0, lines)
        self.assertEqual({line.partition(":")[0] for line in lines}, {"note"}, lines)

    def test_each_mistake_is_named(self):
        for name, (_, words) in BROKEN.items():
            with self.subTest(name):
                code, lines = self.check("policy", name)
                self.assertEqual(code, 1, lines)
                self.assertTrue(any(line.startswith("error: ") and words in line for line in lines),
                                lines)

    def test_each_mistake_lets_a_foreign_sender_pass(self):
        for name in BROKEN:
            with self.subTest(name):
                self.assertRegex(self.open(name, JOE).send(CEO, LOCAL), r"^250 2\.0\.0 ")


if __name__ == "__main__":
    unittest.main()
