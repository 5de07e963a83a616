"""Mails as files: whole or not there, the same name for the same row."""

from notifier.folder import Folder
from notifier.submit import Deferred, Delivered


def test_a_mail_becomes_a_file_and_again_the_same_file(tmp_path):
    folder = Folder(tmp_path / "deep" / "outbox")
    assert folder.ready() is None
    for _ in range(2):
        assert folder.submit("1-1042-reply-7", "", "ana@corp.example", b"mail") == Delivered(reply="written to 1-1042-reply-7.eml")
    folder.abort()
    folder.close()
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "deep" / "outbox").iterdir()] == [("1-1042-reply-7.eml", b"mail")]


def test_a_folder_that_cannot_be_made_or_written_says_why(tmp_path):
    (tmp_path / "file").write_text("in the way")
    folder = Folder(tmp_path / "file")
    assert folder.ready().startswith(f"cannot make the folder {tmp_path / 'file'}: ")
    result = folder.submit("name", "", "ana@corp.example", b"mail")
    assert isinstance(result, Deferred)
    assert result.unreachable
    assert "cannot write" in result.error
