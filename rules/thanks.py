"""Whether new words only say thanks: then they do not reopen what is resolved (itsm 3.5). Careful: in doubt they say more."""

import re

from itsm.signal import UserMessage
from rules.predicate import folded

MAX_CHARACTERS = 300
MAX_OTHER_WORDS = 2  # a name, a greeting we do not know
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_THANKS_TEXT = (
    "thanks thank thx thankyou cheers ty danke dank dankeschön merci gracias grazie obrigado obrigada bedankt takk tack tak kiitos "
    "dziękuję dzięki děkuji ďakujem köszönöm mulțumesc teşekkürler teşekkür спасибо дякую благодаря ευχαριστώ 谢谢 謝謝 ありがとう ありがとうございます "
    "감사합니다"
)
_FILLERS_TEXT = (
    "you very much so a lot many again for your the help quick fast great perfect super good work works working fine now all it is "
    "everything well done nice job awesome excellent best regards kind greetings hello hi dear team bye ok okay yes ya have day weekend "
    "in advance that this solved fixed vielen herzlichen besten schönen dir ihnen euch für die das schnelle hilfe es funktioniert geht "
    "jetzt alles gut klappt wieder bestens mit freundlichen grüßen grüße gruß lieben liebe viele hallo guten tag wochenende schönes "
    "schönen beste prima toll beaucoup bien pour votre aide tout marche fonctionne maintenant parfait cordialement bonjour bonne "
    "journée mille à vous muchas muchísimas por la ayuda todo funciona ahora perfecto saludos buenos días un saludo ya mille tante "
    "molte per l'aiuto tutto muito pela ajuda hartelijk je wel voor bardzo za pomoc działa wszystko teraz pozdrawiam pozdrowienia mange "
    "så mycket tusen большое за помощь всё работает"
)
_BUT_TEXT = (
    "but however still not no isn't doesn't didn't can't cannot won't except yet only another also problem please call need want when "
    "how why what where could would should aber bitte brauche wann wie warum rufen quand besoin favor necesito nicht kein keine noch "
    "leider trotzdem jedoch mais pas encore ne pero no todavía aunque ma non però mas não maar niet ale nie jednak men inte ikke но не "
    "ещё"
)

_THANKS, _FILLERS, _BUT = (frozenset(folded(text).split()) for text in (_THANKS_TEXT, _FILLERS_TEXT, _BUT_TEXT))
_UNSPACED = ("谢谢", "謝謝", "ありがとう", "감사합니다")  # of languages that put no blanks between words


def only_thanks(message: UserMessage) -> bool:
    """Whether a mail says thanks and nothing else: short, no question, no file, no word that takes it back.

    Nothing is lost when this errs: the words stand on the ticket all the same.
    """
    text = folded(message.reply_text or message.text).strip()
    if not text or len(text) > MAX_CHARACTERS or message.attachments or "?" in text or "？" in text:
        return False
    words = _WORD.findall(text)
    if not _THANKS & set(words) and not any(each in text for each in _UNSPACED):
        return False
    if _BUT & set(words) or any(each.isdigit() for each in text):
        return False
    return sum(word not in _THANKS and word not in _FILLERS for word in words) <= MAX_OTHER_WORDS
