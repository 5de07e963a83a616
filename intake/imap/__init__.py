"""Mail by IMAP: one thread a mailbox, checkpoint in the commit that accepts (design 7)."""
