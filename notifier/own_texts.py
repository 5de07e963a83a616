"""A folder of own texts, tried before it is needed: each text with sample facts, and each name that nobody would ask for."""

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from itsm.language import conventional, is_language_tag
from itsm.notification import Event
from notifier.preview import preview
from notifier.sandbox import MAX_FOLDERS, has_text

SUFFIX = ".txt"
MAX_FILES = 1_000  # of one folder


def unusable(templates: str) -> Iterator[tuple[Path, str]]:
    """Each text or folder that would never be sent as it stands, and why; nothing for "", which means no own texts."""
    if not templates:
        return
    folder = Path(templates)
    try:
        entries = sorted(islice(folder.iterdir(), MAX_FILES))
    except OSError as error:
        yield folder, f"cannot be read: {error.strerror or error}"
        return
    yield from _in(folder)
    holding = [each for each in entries if each.is_dir() and any(each.glob(f"*{SUFFIX}"))]
    for each in holding:
        if not is_language_tag(each.name) or conventional(each.name) != each.name:
            yield each, "is not named as a language is, such as de or pt-BR, so that its texts are never sent"
        else:
            yield from _in(each)
    if len(holding) > MAX_FOLDERS:
        yield folder, f"holds texts in more than {MAX_FOLDERS} languages, so that texts are read again and again"


def _in(folder: Path) -> Iterator[tuple[Path, str]]:
    events = {event.value for event in Event}
    for file in sorted(islice(folder.glob(f"*{SUFFIX}"), MAX_FILES)):
        if file.stem not in events:
            meant = get_close_matches(file.stem, events, n=1)
            yield file, "belongs to no event" + (f"; did you mean {meant[0]}{SUFFIX}?" if meant else "")
    for event in Event:
        if has_text(str(folder), event):
            failed = (preview(event, templates=str(folder), trusted=trusted).fallback for trusted in (True, False))
            because = next((each for each in failed if each is not None), None)
            if because is not None:
                file = folder / f"{event.value}{SUFFIX}"
                yield file, because.removeprefix(str(file)).removeprefix(file.name).lstrip(",: ")
