"""A finding: what is wrong, where, how it shows, why, and what helps."""

from dataclasses import dataclass, field
from typing import Any

from .kinds import KINDS


@dataclass(frozen=True)
class Finding:
    """One disease of one model."""

    kind: str
    """Its name, one of ``KINDS``."""
    where: tuple[str, ...]
    """The layers or parameters, by their module paths; "input", "labels", "loss" where it is none
    of them."""
    evidence: str
    """What was measured, beside what it is held against."""
    numbers: dict[str, float] = field(default_factory=dict)
    """The measurements of the criterion, by name."""

    @property
    def cause(self) -> str:
        """Why it happens."""
        return KINDS[self.kind].cause

    @property
    def remedy(self) -> str:
        """What to change."""
        return KINDS[self.kind].remedy

    @property
    def explains(self) -> tuple[str, ...]:
        """The kinds that are its consequences."""
        return KINDS[self.kind].explains

    @property
    def see(self) -> str:
        """Where to read on."""
        further = KINDS[self.kind].see
        return f"docs/diagnosis.md#{self.kind}" + (f", {further}" if further else "")

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        texts = {"cause": self.cause, "remedy": self.remedy, "see": self.see}
        return {
            "kind": self.kind,
            "where": list(self.where),
            "evidence": self.evidence,
            "numbers": dict(self.numbers),
            **texts,
        }


def listed(names: tuple[str, ...], most: int = 4) -> str:
    """Names in a sentence: the first few, and how many more."""
    shown = ", ".join(name or "the model" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
