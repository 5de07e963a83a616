"""`triaged preview`: a mail as it would be sent, with sample facts, from our templates or yours."""

import click

from itsm.language import is_language_tag
from itsm.notification import Event
from notifier.preview import preview
from notifier.render import Identity
from triaged.configuration import desk_of
from triaged.letter import readable
from triaged.options import config_option, json_option, loaded
from triaged.output import data, data_json, talk


@click.command("preview", short_help="Show a mail as triaged would send it.")
@config_option
@json_option
@click.option("--raw", is_flag=True, help="Print the whole mail, headers and HTML too.")
@click.option("--untrusted", is_flag=True, help="As a sender gets it whom nobody authenticated.")
@click.option("--language", default="", metavar="TAG", help="As somebody reads it whose language is TAG, such as de or pt-BR.")
@click.argument("event", type=click.Choice([each.value for each in Event]))
def command(event: str, raw: bool, untrusted: bool, language: str, as_json: bool) -> int:
    """Render EVENT with sample facts. Exit code 1 when your template fails: the plain fall-back is shown, as it would be sent."""
    if language and not is_language_tag(language):
        raise click.BadParameter(f"{language!r} is no language tag; they look like de or pt-BR (RFC 5646)", param_hint="--language")
    configuration = loaded().configuration
    desk = desk_of(configuration)
    identity = Identity(name=desk.name, address=desk.address, domain=desk.domain)
    templates = configuration.notifier.templates
    rendered = preview(Event(event), identity=identity, templates=templates, language=language, trusted=not untrusted)
    if raw:
        click.echo(rendered.message, nl=False)
    elif as_json:
        told = {"event": event, "reverse_path": rendered.reverse_path, "fallback": rendered.fallback}
        data_json(told | {"message": rendered.message.decode("utf-8", "replace")})
    else:
        data(readable(rendered.message))
    if rendered.fallback is not None:
        talk(f"The template failed: {rendered.fallback}")
        return 1
    return 0
