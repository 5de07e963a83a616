"""The reasons of a decision, as a person reads them."""

from itsm.decision import Reasons


def reasons_text(reasons: Reasons) -> list[str]:
    """Lines: the sentence, the rules that matched, what they read, what nearly matched, how far the sender was trusted."""
    lines = [f"{reasons.code}: {reasons.sentence}"]
    if reasons.rules:
        lines.append(f"rules that matched: {', '.join(reasons.rules)}")
    lines += [f"{name} = {value}" for name, value in reasons.values.items()]
    lines += [f"nearly: rule {miss.rule} wanted {miss.predicate}, it was {miss.value!r}" for miss in reasons.near_misses]
    lines.append(f"trust level {reasons.trust}" + (f", ruleset {reasons.ruleset_sha256[:12]}" if reasons.ruleset_sha256 else ""))
    return lines
