"""Words of a question, for measuring how alike two wordings are."""

import re
import unicodedata

STOP = {
    "en": """a an the and or but if so to of in on at by for from with as is are was were be been am do does did
        have has had i me my we our us you your it its this that these those there here what which who whom whose
        when where why how can could may might must shall should will would not no any some please hi hello hey
        thanks thank get got need want tell know just s t m re ve ll d about into than then them they he she his her""",
    "de": """der die das den dem des ein eine einen einem einer eines und oder aber wenn zu zum zur von vom in im an
        am auf bei beim für mit als ist sind war waren sein bin hat haben habe hatte ich mich mir mein meine meinen
        meinem meiner wir uns unser unsere sie ihr ihre ihren es dies diese dieser dieses diesen was welche welcher
        welches wer wem wen wann wo warum wieso wie kann können könnte darf dürfen muss müssen soll sollte werden
        wird würde nicht kein keine man bitte hallo danke so da da denn eigentlich mal auch nur noch schon aus nach
        um über du dir dich""",
    "fr": """le la les l un une des d de du et ou mais si à a au aux en dans sur par pour avec comme est sont était
        être ai as ont avoir je j me m mon ma mes nous notre nos vous votre vos il elle on ils elles ce c cet cette
        ces ça cela que qu qui quoi quel quelle quels quelles quand où pourquoi comment peut puis peux pouvez
        pourriez faut doit dois devez ne n pas plus s se sa son ses y t te tu ton est-ce bonjour merci svp""",
}
STOP = {language: set(words.split()) for language, words in STOP.items()}


def tokens(text):
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text).lower())


def fold(text):
    """A text without case, punctuation and spacing, but with what counts in numbers and code."""
    signs = r"[^\w\s]" if "`" in text else r"(?<!\w)-(?=\d)|[%$€£°]"
    return " ".join(tokens(text)) + " " + "".join(re.findall(signs, text))


def content_words(text, language):
    return {word for word in tokens(text) if word not in STOP[language]}


def alike(a, b, language):
    """Jaccard index of the content words."""
    one, other = content_words(a, language), content_words(b, language)
    return len(one & other) / len(one | other) if one | other else 1.0
