"""What the rendering child does: pure, on bytes in and bytes out, so that it can be killed at any time."""

import msgspec

from notifier.mailbox import NoMailbox
from notifier.render import Rendered, RenderRequest, Unrenderable, render

_decode = msgspec.msgpack.Decoder(RenderRequest).decode
_encode = msgspec.msgpack.Encoder().encode
_answers: msgspec.msgpack.Decoder[Rendered | Unrenderable] = msgspec.msgpack.Decoder(Rendered | Unrenderable)


def render_one(request: bytes) -> bytes:
    """Render one encoded request into an encoded `Rendered` or `Unrenderable`."""
    try:
        return _encode(render(_decode(request)))
    except NoMailbox as error:
        return _encode(Unrenderable(reason=str(error)))


def decode_answer(answer: bytes) -> Rendered | Unrenderable:
    """What `render_one` answered."""
    return _answers.decode(answer)
