"""No more than a share of a campaign's numbers is suppressed at once, all rules together."""

from __future__ import annotations

from streams.detectors.answer_states import CampaignAnswers


class CampaignCap:
    """Says whether a rule may suppress one more of a campaign's numbers.

    Args:
        answers: knows which numbers are in use, which of them are suppressed, and the largest share that may be.
    """

    __slots__ = ("_answers",)

    def __init__(self, answers: CampaignAnswers) -> None:
        self._answers = answers

    def refusal(self, number: str, at: int) -> str | None:
        """Why a number may not be suppressed, in words; None if it may be."""
        return self._answers.refusal(number, at)

    def hold(self, number: str, rule: str, until: int) -> None:
        """Note that a rule has suppressed a number."""
        self._answers.held.hold(number, rule, until)

    def release(self, number: str, rule: str) -> None:
        """Note that a rule has taken its suppression back."""
        self._answers.held.release(number, rule)
