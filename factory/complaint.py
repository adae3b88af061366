"""The one exception for what a person can put right: what happened, what to do, the exit code."""


class Complaint(Exception):  # noqa: N818  reads as what it is
    """Says what went wrong and to what; ``hint`` says what to do next."""

    def __init__(self, what: str, *, hint: str = "", code: int = 2) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.code = code
