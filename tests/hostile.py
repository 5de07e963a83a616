"""Strings that break what is put together of strings: SQL, LIKE, full-text search, paths, templates, terminals, encodings (attack A47)."""

HOSTILE = (
    "' OR '1'='1", "'; DROP TABLE ticket; --", '" OR ""="', "1 UNION SELECT secret_sha256 FROM api_token", "\\", "\\'", "%", "_", "%_%", "*",
    '"', '""', "AND", "NOT NOT", "a NEAR b", "subject:x", "^x*", "(((", "{{7*7}}", "${x}", "%s%n", "../../etc/passwd", "/dev/null", "\x1b[31mred",
    "\r\nSet-Cookie: x", "\u202e\u200b", "\ufdfd" * 40, "NULL", "-1", "0", "9" * 40, "1e999", "x" * 4_000, "İ", "\U0001f4a3",
)  # fmt: skip
NO_TEXT = ("\x00", "a\x00b", "\ud800")  # what no text in a database may hold
