"""Mail by SMTP: aiosmtpd under our own limits (RFC 5321)."""
