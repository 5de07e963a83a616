"""The files of a mail that goes out: taken from the stored mail they came with, by a child process that can be killed."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog

from itsm.notification import FilesFound, FilesWanted, Notification, StoredFile
from notifier.compose import File
from store import inbox
from store.store import Store

GONE = b"This file is not here any more: the mail it came with was removed before this one was made.\n"

log = structlog.get_logger("notifier")
_decode = msgspec.msgpack.Decoder(FilesFound).decode


class Files:
    """Reads files out of stored mails; one mail at a time, so that memory is bounded by the largest."""

    def __init__(self, store: Store, run_batch: Callable[[str, Sequence[bytes]], Awaitable[Sequence[bytes | None]]]) -> None:
        """`run_batch` asks a child process."""
        self._store, self._run_batch = store, run_batch

    async def of(self, notifications: Sequence[Notification]) -> dict[int, tuple[File, ...]]:
        """The files of each notification that has any; one that is gone is replaced by a note that says so."""
        return {each.id: await self._of_one(each) for each in notifications if each.attachments}

    async def _of_one(self, notification: Notification) -> tuple[File, ...]:
        found: list[File] = []
        for inbox_id in dict.fromkeys(each.inbox_id for each in notification.attachments):
            wanted = [each for each in notification.attachments if each.inbox_id == inbox_id]
            contents = await self._contents(inbox_id, tuple(each.part_index for each in wanted))
            found += [self._file(notification, each, octets) for each, octets in zip(wanted, contents, strict=True)]
        return tuple(found)

    async def _contents(self, inbox_id: int, part_indexes: tuple[int, ...]) -> Sequence[bytes | None]:
        """The octets of these parts; None for each when the mail is gone or the child could not read it."""
        stored = await self._store.aread(lambda tx: inbox.raw_bytes(tx, [inbox_id]))
        if not stored.get(inbox_id):
            return [None] * len(part_indexes)
        request = FilesWanted(body=stored[inbox_id], part_indexes=part_indexes)
        (answer,) = await self._run_batch("files", [msgspec.msgpack.encode(request)])
        return _decode(answer).contents if answer is not None else [None] * len(part_indexes)

    def _file(self, notification: Notification, stored: StoredFile, octets: bytes | None) -> File:
        if octets is None:
            log.error("a file is gone", outbox_id=notification.id, inbox_id=stored.inbox_id)
            return File(filename=f"{stored.filename or 'file'}.missing.txt", content_type="text/plain", octets=GONE)
        return File(filename=stored.filename, content_type=stored.content_type, octets=octets)
