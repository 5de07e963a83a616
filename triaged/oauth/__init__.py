"""OAuth 2.0 for IMAP and the relay: settings, talk with the issuer, and the source of tokens."""
