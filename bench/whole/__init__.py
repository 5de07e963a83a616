"""From the first SMTP command to the committed ticket."""
