"""What is mutated, and the tests that must notice; the quickest first."""

import msgspec


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A module under test, and its tests: files, or tests of files."""

    file: str
    tests: tuple[str, ...]

    @property
    def module(self) -> str:
        """Its dotted name."""
        return self.file.removesuffix(".py").replace("/", ".")


EXACT = "tests/rules/test_exact_guards.py"
MAILS, FOLLOW_UP = "tests/rules/test_mail_decisions.py", "tests/rules/test_follow_up_policy.py"
THREADS = "tests/rules/test_threads_of_mails_nobody_saw.py"
GUARDS = (EXACT, "tests/rules/test_loop_guards.py", MAILS, "tests/rules/test_answers_and_trust.py")
SUBJECTS = {
    "threading": Subject(file="rules/threading.py", tests=(EXACT, THREADS, MAILS, FOLLOW_UP)),
    "topic": Subject(file="rules/topic.py", tests=(THREADS,)),
    "sameness": Subject(file="rules/sameness.py", tests=(EXACT, MAILS, FOLLOW_UP)),
    "forwarding": Subject(file="rules/forwarding.py", tests=(EXACT, FOLLOW_UP)),
    "reopening": Subject(file="rules/reopening.py", tests=(EXACT, MAILS, FOLLOW_UP)),
    "budgets": Subject(file="rules/budget.py", tests=GUARDS),
    "gist": Subject(file="rules/gist.py", tests=("tests/rules/test_gist.py", *GUARDS)),
    "breaker": Subject(file="rules/loops.py", tests=GUARDS),
    "answers": Subject(file="rules/answer.py", tests=GUARDS),
    "notices": Subject(file="rules/notice.py", tests=(*GUARDS, FOLLOW_UP)),
    "splitter": Subject(
        file="intake/mail/reply.py",
        tests=(
            "tests/intake/mail/test_mail_reply_words.py", "tests/intake/mail/test_mail_replies.py", "tests/intake/mail/test_mail_reply_languages.py",
        ),
    ),
    "kinds": Subject(file="intake/mail/kind.py", tests=("tests/intake/mail/test_mail_kinds.py",)),
}  # fmt: skip
