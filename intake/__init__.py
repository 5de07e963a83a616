"""The doors: accept bytes durably, parse them without trusting them, hand them to casework."""
