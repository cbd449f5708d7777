"""check-postfix against configurations that are right, and against each mistake it must name.

Every configuration is read by the real postconf(1); Postfix itself is not started. What the script
does when postconf is old, odd or absent is shown with a small program that plays postconf.
"""

import os
import shutil
import tempfile
import unittest

from checkpostfix import ROOT, check
from postfixlab import write_config

GOOD = (
    "check_policy_service { unix:policyd/policy.sock, timeout=10s, "
    "{ default_action = DEFER_IF_PERMIT 4.3.5 try again later } }"
)
SENDER = "smtpd_sender_restrictions"
AUTH = "smtpd_sasl_auth_enable = yes"
SUBMISSION = "submission inet n - n - - smtpd"


def setUpModule():
    if shutil.which("postconf", path=os.environ.get("PATH", "") + ":/usr/sbin") is None:
        raise RuntimeError("postconf is missing: install the package postfix")


def fragment(name):
    """The text that contrib offers for that file."""
    path = os.path.join(ROOT, "contrib/postfix", name + ".fragment")
    with open(path, encoding="utf-8") as file:
        return file.read()


class Configuration(unittest.TestCase):
    """One folder with main.cf and master.cf for each test."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="check-postfix-")
        self.addCleanup(shutil.rmtree, self.folder)

    def run_on(self, main, master=SUBMISSION, *args):
        """Write the files, run the script; return (exit code, findings)."""
        base = f"compatibility_level = 3.6\nmail_owner = postfix\n{AUTH}\n"
        for name, text in (("main.cf", base + main), ("master.cf", master)):
            write_config(os.path.join(self.folder, name), text + "\n")
        code, lines, _ = check("-c", self.folder, *args)
        return code, lines

    def assert_names(self, lines, kind, *words):
        """Some finding of that kind holds all the words."""
        for line in lines:
            if line.startswith(f"{kind}: ") and all(word in line for word in words):
                return
        self.fail(f"no {kind} with {words} in:\n" + "\n".join(lines))

    def assert_clean(self, code, lines):
        self.assertEqual(code, 0, lines)
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("nothing to do", lines[0])


class Right(Configuration):
    def test_the_form_of_the_fragment(self):
        self.assert_clean(*self.run_on(f"{SENDER} = {GOOD}"))

    def test_the_fragments_themselves(self):
        main, master = fragment("main.cf"), fragment("master.cf")
        self.assert_clean(*self.run_on(main, "smtp inet n - y - - smtpd\n" + master))

    def test_the_line_offered_for_submission_alone(self):
        offered = fragment("master.cf").rpartition("#   -o {")[2].replace("#", "")
        self.assert_clean(*self.run_on("", f"{SUBMISSION}\n  -o {{{offered}"))

    def test_permit_after_the_check(self):
        self.assert_clean(*self.run_on(f"{SENDER} = {GOOD}, permit_mynetworks, permit"))

    def test_reference_is_followed(self):
        main = f"mua = {GOOD}\n{SENDER} = ${{mua}}, permit_sasl_authenticated"
        self.assert_clean(*self.run_on(main))

    def test_reference_in_master_is_followed(self):
        main = f"mua = {GOOD}\n{SENDER} = permit_mynetworks"
        self.assert_clean(*self.run_on(main, f"{SUBMISSION}\n -o {SENDER}=$mua"))

    def test_override_of_what_is_referred_to(self):
        main = f"{SENDER} = $mua\nmua = permit_mynetworks"
        self.assert_clean(*self.run_on(main, f"{SUBMISSION}\n -o {{ mua = {GOOD} }}"))

    def test_conditional_value(self):
        main = f"yes_please = 1\n{SENDER} = ${{yes_please?{{{GOOD}}}}}"
        self.assert_clean(*self.run_on(main))

    def test_comparison_is_left_to_postconf(self):
        main = f"{SENDER} = ${{{{1}} < {{2}} ? {{{GOOD}}} : {{permit}}}}"
        self.assert_clean(*self.run_on(main))

    def test_restriction_class(self):
        main = f"smtpd_restriction_classes = ours\nours = {GOOD}\n{SENDER} = ours, permit"
        self.assert_clean(*self.run_on(main))

    def test_names_have_no_case(self):
        main = f"{SENDER} = {GOOD.replace('check_policy', 'Check_Policy')}"
        self.assert_clean(*self.run_on(main))

    def test_socket_by_its_whole_path_without_chroot(self):
        main = f"queue_directory = /q\n{SENDER} = {GOOD.replace('policyd/', '/q/policyd/')}"
        self.assert_clean(*self.run_on(main))

    def test_another_policy_service_after_it(self):
        main = f"{SENDER} = {GOOD}\n" \
            "smtpd_recipient_restrictions = permit_mynetworks, check_policy_service " \
            "{ inet:127.0.0.1:10023, default_action=DUNNO }"
        self.assert_clean(*self.run_on(main))


class Absent(Configuration):
    def test_check_missing(self):
        code, lines = self.run_on(f"{SENDER} = permit_mynetworks")
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", f"main.cf {SENDER}", "check_policy_service is missing")

    def test_only_another_policy_service(self):
        code, lines = self.run_on(f"{SENDER} = check_policy_service unix:private/spf", SUBMISSION,
                                  "-s", "unix:policyd/policy.sock")
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", "check_policy_service is missing")

    def test_master_override_hides_it(self):
        code, lines = self.run_on(f"{SENDER} = {GOOD}",
                                  f"{SUBMISSION}\n -o {SENDER}=permit_sasl_authenticated,reject")
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", f"master.cf submission/inet -o {SENDER}", "hides")

    def test_undefined_reference_in_master(self):
        code, lines = self.run_on(f"{SENDER} = {GOOD}", f"{SUBMISSION}\n -o {SENDER}=$mua_nothing")
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", "master.cf submission/inet", "hides")

    def test_service_without_auth_is_a_note(self):
        code, lines = self.run_on("", f"{SUBMISSION}\n -o {{ {SENDER} = {GOOD} }}\n"
                                  "smtp inet n - n - - smtpd\n -o smtpd_sasl_auth_enable=no")
        self.assertEqual(code, 0)
        self.assert_names(lines, "note", "smtp/inet does not ask policyd")

    def test_no_smtpd_service(self):
        code, lines = self.run_on(f"{SENDER} = {GOOD}", "cleanup unix n - n - 0 cleanup")
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", "no smtpd service")

    def test_auth_nowhere(self):
        code, lines = self.run_on(f"smtpd_sasl_auth_enable = no\n{SENDER} = {GOOD}")
        self.assertEqual(code, 0)
        self.assert_names(lines, "note", "no smtpd service offers AUTH")

    def test_class_that_is_not_declared(self):
        code, lines = self.run_on(f"ours = {GOOD}\n{SENDER} = ours")
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", "check_policy_service is missing")


class Before(Configuration):
    def test_permits(self):
        for permit in ("permit", "permit_mynetworks", "permit_sasl_authenticated",
                       "permit_tls_clientcerts", "permit_dnswl_client list.example",
                       "PERMIT_MYNETWORKS"):
            with self.subTest(permit):
                code, lines = self.run_on(f"{SENDER} = {permit}, {GOOD}")
                self.assertEqual(code, 1)
                self.assert_names(lines, "error", f"main.cf {SENDER}",
                                  f"{permit.split()[0].lower()} stands before the check")

    def test_permit_inside_a_class(self):
        code, lines = self.run_on("smtpd_restriction_classes = ours\nours = permit_mynetworks\n"
                                  f"{SENDER} = ours {GOOD}")
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", "permit_mynetworks stands before")

    def test_permit_in_the_override_of_one_service(self):
        code, lines = self.run_on(f"{SENDER} = {GOOD}", "smtp inet n - n - - smtpd\n"
                                  f"{SUBMISSION}\n -o {{ {SENDER} = permit_mynetworks {GOOD} }}")
        self.assertEqual(code, 1)
        self.assertEqual(len(lines), 1, lines)
        self.assert_names(lines, "error", "master.cf submission/inet", "permit_mynetworks")

    def test_argument_is_no_restriction(self):
        code, lines = self.run_on(f"{SENDER} = check_sender_access permit, {GOOD}")
        self.assertEqual(code, 0)
        self.assert_names(lines, "note", "check_sender_access permit stands before")

    def test_access_table(self):
        for table in ("check_client_access hash:/etc/postfix/a", "hash:/etc/postfix/a",
                      "check_sender_access inline:{ a@b=OK, c@d=REJECT }"):
            with self.subTest(table):
                code, lines = self.run_on(f"{SENDER} = {table}, {GOOD}")
                self.assertEqual(code, 0)
                self.assert_names(lines, "note", "where it answers OK the check is skipped")

    def test_another_policy_service(self):
        code, lines = self.run_on(f"{SENDER} = check_policy_service unix:private/spf {GOOD}")
        self.assertEqual(code, 0)
        self.assert_names(lines, "note", "policy service unix:private/spf stands before")

    def test_reject(self):
        code, lines = self.run_on(f"{SENDER} = reject, {GOOD}")
        self.assertEqual(code, 0)
        self.assert_names(lines, "warning", "reject stands before the check")

    def test_warn_if_reject(self):
        code, lines = self.run_on(f"{SENDER} = warn_if_reject {GOOD}")
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", "warn_if_reject", "only logged")


class WrongList(Configuration):
    def test_behind_a_permit(self):
        for name in ("relay", "recipient"):
            with self.subTest(name):
                code, lines = self.run_on(
                    f"smtpd_{name}_restrictions = permit_sasl_authenticated, {GOOD}")
                self.assertEqual(code, 1)
                self.assert_names(lines, "error", f"smtpd_{name}_restrictions",
                                  "permit_sasl_authenticated stands before")

    def test_recipient_list_works(self):
        code, lines = self.run_on(f"smtpd_recipient_restrictions = {GOOD}, permit_mynetworks")
        self.assertEqual(code, 0)
        self.assert_names(lines, "warning", "smtpd_recipient_restrictions", "names the recipient")

    def test_client_and_helo_need_delay(self):
        for name in ("client", "helo"):
            for delay, kind, exit_code in (("yes", "warning", 0), ("no", "error", 1)):
                with self.subTest(name=name, delay=delay):
                    code, lines = self.run_on(
                        f"smtpd_delay_reject = {delay}\nsmtpd_{name}_restrictions = {GOOD}")
                    self.assertEqual(code, exit_code)
                    self.assert_names(lines, kind, f"smtpd_{name}_restrictions", "delay_reject")

    def test_data_never_decides(self):
        for name in ("data", "end_of_data", "etrn"):
            with self.subTest(name):
                code, lines = self.run_on(f"smtpd_{name}_restrictions = {GOOD}")
                self.assertEqual(code, 1)
                self.assert_names(lines, "error", f"smtpd_{name}_restrictions", "always answers")


class Options(Configuration):
    def in_braces(self, text, *more):
        return self.run_on(
            f"{SENDER} = check_policy_service {{ unix:policyd/policy.sock, {text} }}", *more)

    def test_default_action_that_accepts(self):
        for action in ("DUNNO", "dunno", "OK", "PERMIT", "permit_mynetworks", "450", "HOLD",
                       "DISCARD", "DEFER_IF_REJECT"):
            with self.subTest(action):
                code, lines = self.in_braces(f"timeout=10s, default_action={action}")
                self.assertEqual(code, 1)
                self.assert_names(lines, "error", f"main.cf {SENDER}", action.upper(),
                                  "every sender passes")

    def test_default_action_that_accepts_with_text(self):
        code, lines = self.in_braces("timeout=10s, { default_action = WARN policyd is down }")
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", "WARN", "every sender passes")

    def test_global_default_action(self):
        name = "smtpd_policy_service_default_action"
        main = f"{name} = DUNNO\n{SENDER} = check_policy_service unix:policyd/policy.sock"
        code, lines = self.run_on(main)
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", f"main.cf {name}", "every sender passes")

    def test_global_default_action_in_master(self):
        name = "smtpd_policy_service_default_action"
        code, lines = self.run_on(f"{SENDER} = check_policy_service unix:policyd/policy.sock",
                                  f"{SUBMISSION}\n -o {name}=OK")
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", f"master.cf submission/inet -o {name}", "passes")

    def test_service_option_wins_over_global(self):
        main = f"smtpd_policy_service_default_action = DUNNO\n{SENDER} = {GOOD}"
        self.assert_clean(*self.run_on(main))

    def test_default_action_that_refuses(self):
        code, lines = self.in_braces("timeout=10s, { default_action = REJECT policyd is down }")
        self.assertEqual(code, 0)
        self.assert_names(lines, "warning", "REJECT", "refused for ever")

    def test_default_action_that_is_something_else(self):
        code, lines = self.in_braces("timeout=10s, default_action=reject_unknown_sender_domain")
        self.assertEqual(code, 0)
        self.assert_names(lines, "warning", "not a plain deferral")

    def test_blanks_without_braces(self):
        for text in ("default_action=DEFER_IF_PERMIT 4.3.5 later", "default_action = DEFER",
                     "{ = DEFER }"):
            with self.subTest(text):
                code, lines = self.in_braces(text)
                self.assertEqual(code, 1)
                self.assert_names(lines, "error", "fatal", "needs braces")

    def test_braces_around_the_value_alone(self):
        code, lines = self.in_braces("default_action={DEFER_IF_PERMIT 4.3.5 later}")
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", "451 Server configuration error")

    def test_empty_default_action(self):
        code, lines = self.in_braces("default_action=")
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", "default_action is empty")

    def test_misspelt_option(self):
        code, lines = self.in_braces("defaultaction=DEFER")
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", "unknown option defaultaction")

    def test_values_that_end_smtpd(self):
        """Each of these was fatal for a Postfix 3.7.11."""
        for option in ("timeout=ten", "timeout=-1", "timeout=0", "timeout=10q", "timeout=10S", "max_idle=x",
                       "retry_delay=1x", "retry_delay=0", "try_limit=abc", "try_limit=0", "request_limit=z"):
            with self.subTest(option):
                code, lines = self.in_braces(option)
                self.assertEqual(code, 1)
                self.assert_names(lines, "error", option.replace("=", " "), "fatal error")
        for option in ("timeout=2h30m", "policy_context=a", "request_limit=0", "max_ttl=5m"):
            with self.subTest(option):
                self.assertEqual(self.in_braces(option)[0], 0)

    def test_timeout(self):
        code, lines = self.in_braces("timeout=2s")
        self.assertEqual(code, 0)
        self.assert_names(lines, "warning", "timeout 2 s is shorter")
        code, lines = self.in_braces("timeout=2m")
        self.assert_names(lines, "note", "for 241 s")

    def test_global_timeout(self):
        name = "smtpd_policy_service_timeout"
        code, lines = self.run_on(
            f"{name} = 3\n{SENDER} = check_policy_service unix:policyd/policy.sock")
        self.assertEqual(code, 0)
        self.assert_names(lines, "warning", f"main.cf {name}", "timeout 3 s is shorter")

    def test_max_idle(self):
        code, lines = self.in_braces("timeout=10s, max_idle=1h")
        self.assertEqual(code, 0)
        self.assert_names(lines, "warning", "max_idle 3600 s")
        code, lines = self.run_on(f"smtpd_policy_service_max_idle = 500\n{SENDER} = {GOOD}",
                                  SUBMISSION, "-i", "400")
        self.assert_names(lines, "warning", "main.cf smtpd_policy_service_max_idle", "400 s")

    def test_try_limit(self):
        code, lines = self.in_braces("timeout=10s, try_limit=1")
        self.assertEqual(code, 0)
        self.assert_names(lines, "warning", "try_limit 1")

    def test_no_service_after_the_check(self):
        code, lines = self.run_on(f"{SENDER} = check_policy_service")
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", "without unix: or inet:")


class Reach(Configuration):
    def test_whole_path_and_chroot(self):
        main = f"queue_directory = /q\n{SENDER} = {GOOD.replace('policyd/', '/q/policyd/')}"
        code, lines = self.run_on(main, "submission inet n - y - - smtpd")
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", "chrooted submission/inet", ": unix:policyd/policy.sock")

    def test_chroot_by_default_of_old_configurations(self):
        main = f"compatibility_level = 0\n{SENDER} = {GOOD.replace('policyd/', '/run/policyd/')}"
        code, lines = self.run_on(main, "submission inet n - - - - smtpd")
        self.assertEqual(code, 1)
        self.assert_names(lines, "error", "chrooted submission/inet")
        code, lines = self.run_on(main.replace("= 0", "= 3.6"), "submission inet n - - - - smtpd")
        self.assertEqual(code, 0)

    def test_outside_the_queue_directory(self):
        code, lines = self.run_on(f"{SENDER} = {GOOD.replace('policyd/', '/run/policyd/')}")
        self.assertEqual(code, 0)
        self.assert_names(lines, "note", "once smtpd is chrooted")

    def test_inet(self):
        for address, far in (("127.0.0.1:10040", False), ("localhost:10040", False),
                             ("[::1]:10040", False), ("10040", False),
                             ("192.0.2.7:10040", True), ("[2001:db8::7]:10040", True)):
            with self.subTest(address):
                code, lines = self.run_on(
                    f"{SENDER} = {GOOD.replace('unix:policyd/policy.sock', 'inet:' + address)}",
                    SUBMISSION, "-s", f"inet:{address}")
                self.assertEqual(code, 0)
                if far:
                    self.assert_names(lines, "warning", address, "in clear")
                else:
                    self.assert_clean(code, lines)


class Notes(Configuration):
    def test_delay_reject_no(self):
        code, lines = self.run_on(f"smtpd_delay_reject = no\n{SENDER} = {GOOD}")
        self.assertEqual(code, 0)
        self.assert_names(lines, "note", "main.cf smtpd_delay_reject", "at MAIL")

    def test_smtputf8_off(self):
        code, lines = self.run_on(f"smtputf8_enable = no\n{SENDER} = {GOOD}")
        self.assertEqual(code, 0)
        self.assert_names(lines, "note", "main.cf smtputf8_enable", "two logins can become one")

    def test_sender_login_maps_still_there(self):
        code, lines = self.run_on("smtpd_sender_login_maps = hash:/etc/postfix/senders\n"
                                  f"{SENDER} = reject_sender_login_mismatch, {GOOD}")
        self.assertEqual(code, 0)
        self.assert_names(lines, "note", "reject_sender_login_mismatch", "must pass both")

    def test_one_line_for_what_services_share(self):
        _, lines = self.run_on(f"{SENDER} = permit_mynetworks, {GOOD}",
                               f"{SUBMISSION}\nsmtp inet n - n - - smtpd\n"
                               " -o smtpd_sasl_auth_enable=no")
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith("error: "), lines)

    def test_misspelt_parameter_reaches_stderr(self):
        write_config(os.path.join(self.folder, "main.cf"),
                     f"compatibility_level = 3.6\nsmtpd_sender_restriction = {GOOD}\n")
        write_config(os.path.join(self.folder, "master.cf"), SUBMISSION + "\n")
        code, _, errors = check("-c", self.folder)
        self.assertEqual(code, 1)
        self.assertEqual(errors.count("unused parameter: smtpd_sender_restriction="), 1, errors)


PLAYED = """#!/bin/sh
# Plays postconf: answers each option from a file of that name, fails where there is none.
test "$1" = -c && shift 2
cat "$(dirname "$0")/answer$1" 2>/dev/null
"""


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="check-postfix-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.postconf = os.path.join(self.folder, "postconf")
        self.write("postconf", PLAYED)
        os.chmod(self.postconf, 0o755)
        self.write("answer-d", "smtpd_delay_reject = yes\nsmtpd_policy_service_timeout = 100s\n"
                   "smtpd_policy_service_max_idle = 300s\nsmtpd_policy_service_try_limit = 2\n")
        self.write("answer-n", f"{SENDER} = {GOOD}\n{AUTH}\n")
        self.write("answer-M", SUBMISSION + "\n")
        self.write("answer-P", "")

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def test_postconf_by_option_and_by_environment(self):
        for args, env in ((("-p", self.postconf), {}), ((), {"POSTCONF": self.postconf})):
            code, lines, _ = check(*args, env=env)
            self.assertEqual(code, 0, lines)
            self.assertIn("nothing to do", lines[0])

    def test_value_that_nobody_can_resolve(self):
        self.write("answer-n", f"{SENDER} = ${{{{1}} < {{2}} ? {{{GOOD}}}}}\n{AUTH}\n")
        code, lines, _ = check("-p", self.postconf)
        self.assertEqual(code, 1)
        self.assertTrue(any("cannot resolve" in line for line in lines), lines)

    def test_reference_to_itself_ends(self):
        self.write("answer-n", f"{SENDER} = ${SENDER}\n{AUTH}\n")
        code, lines, _ = check("-p", self.postconf)
        self.assertEqual(code, 1)
        self.assertTrue(any("cannot resolve" in line for line in lines), lines)

    def test_service_name_with_a_slash(self):
        self.write("answer-M", "private/tx unix n - n - - smtpd\n")
        self.write("answer-P", f"private/tx/unix/{SENDER} = permit\n")
        code, lines, _ = check("-p", self.postconf)
        self.assertEqual(code, 1)
        self.assertIn(f"master.cf private/tx/unix -o {SENDER}", lines[0])

    def test_postconf_that_fails(self):
        for option in "dnMP":
            with self.subTest(option):
                os.rename(f"{self.folder}/answer-{option}", f"{self.folder}/kept")
                code, lines, errors = check("-p", self.postconf)
                os.rename(f"{self.folder}/kept", f"{self.folder}/answer-{option}")
                self.assertEqual((code, lines), (3, []))
                self.assertIn(f"could not run '{self.postconf} -{option}'", errors)

    def test_postconf_that_is_absent(self):
        code, _, errors = check("-p", os.path.join(self.folder, "nothing"))
        self.assertEqual(code, 3)
        self.assertIn("could not run", errors)

    def test_usage(self):
        code, lines, _ = check("-h")
        self.assertEqual(code, 0)
        self.assertIn("usage: check-postfix", lines[0])
        for args in (("-x",), ("-c",), ("-i", "soon"), ("-i", ""), ("main.cf",)):
            with self.subTest(args):
                code, lines, errors = check(*args)
                self.assertEqual((code, lines), (2, []))
                self.assertIn("usage:", errors)


if __name__ == "__main__":
    unittest.main()
