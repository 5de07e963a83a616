"""Whether a mail is signed or encrypted, read from its form alone (RFC 1847, RFC 8551, RFC 3156, RFC 9580 6.2)."""

from intake.mail.walk import Walk
from itsm.signal import Protection

PKCS7 = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
PGP_ENCRYPTED = "-----BEGIN PGP MESSAGE-----"
PGP_SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----"
UNREADABLE = "the mail is encrypted: its words can be read only with the key of its recipient"


def protection_of(mail: Walk, text: str) -> Protection:
    """Encrypted when any part is, else signed when any part is; a signature is never verified."""
    kinds = {each.parameters.get("smime-type", "").lower() for each in mail.leaves if each.content_type in PKCS7}
    if "multipart/encrypted" in mail.multiparts or kinds - {"signed-data", "certs-only"} or _has_line(text, PGP_ENCRYPTED):
        return Protection.ENCRYPTED
    signed = "multipart/signed" in mail.multiparts or "signed-data" in kinds or _has_line(text, PGP_SIGNED)
    return Protection.SIGNED if signed else Protection.NONE


def _has_line(text: str, line: str) -> bool:
    """Whether a line begins so; one that is quoted says nothing about this mail."""
    return text.startswith(line) or f"\n{line}" in text
