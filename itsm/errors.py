"""The three families of trouble; the docstring is the default message (style 18)."""


class TriagedError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None, *, status: int = 500, enhanced: str = "4.3.0") -> None:
        """Keep the HTTP status and the SMTP enhanced code (RFC 3463) that a door should answer with."""
        super().__init__(message or (type(self).__doc__ or "").strip())
        self.status = status
        self.enhanced = enhanced


class MalformedInput(TriagedError):
    """The input is not what its format promises; sending it again will not help."""

    def __init__(self, message: str | None = None, *, status: int = 400, enhanced: str = "5.6.0") -> None:
        """Defaults: HTTP 400, enhanced code 5.6.0."""
        super().__init__(message, status=status, enhanced=enhanced)


class Transient(TriagedError):
    """Cannot be done now; the same thing may work later."""

    def __init__(self, message: str | None = None, *, status: int = 503, enhanced: str = "4.3.0", retry_seconds: float = 5.0) -> None:
        """Defaults: HTTP 503, enhanced code 4.3.0; `retry_seconds` is a hint for Retry-After."""
        super().__init__(message, status=status, enhanced=enhanced)
        self.retry_seconds = retry_seconds


class Unreadable(Transient):
    """The disk does not give back what was asked of it; other rows may be well."""


class Permanent(TriagedError):
    """Cannot be done, now or later."""

    def __init__(self, message: str | None = None, *, status: int = 422, enhanced: str = "5.3.0") -> None:
        """Defaults: HTTP 422, enhanced code 5.3.0."""
        super().__init__(message, status=status, enhanced=enhanced)


class Refused(Permanent):
    """The act is not legal here."""

    def __init__(self, message: str, *, legal: tuple[str, ...] = ()) -> None:
        """`legal` names the acts that would be."""
        super().__init__(message, status=422, enhanced="5.7.1")
        self.legal = legal


class Conflict(Permanent):
    """Somebody else changed it first."""

    def __init__(self, message: str | None = None) -> None:
        """HTTP 409."""
        super().__init__(message, status=409, enhanced="4.3.0")
