"""What goes out: render stored notifications, submit them, record what the relay said."""
