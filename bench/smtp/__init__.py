"""Mail accepted by SMTP."""
