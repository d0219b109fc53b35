"""Ordinary rewordings of a question by rule: what asks for the same. And a question with one word exchanged: what
does not. Which of them is made is chosen by a hash, so that the same questions make the same ones everywhere."""

import hashlib
import re

# How a question may begin, and how else it may be put. `{0}` is the rest.
OPENINGS = {
    "en": [
        (
            '^How (?:do|can|could|would|should) I (.+?)\\?$',
            [
                'How do I {0}?',
                'How can I {0}?',
                'How to {0}',
                'How to {0}?',
                'What is the way to {0}?',
                'How could I {0}?',
                'Can you tell me how I can {0}?',
                'Could you explain how to {0}?',
                'how do i {0}',
                'What do I need to do to {0}?',
                'How would I {0}?',
                'Please tell me how to {0}.',
                'I would like to know how to {0}',
                'What steps do I take to {0}?',
            ],
        ),
        (
            '^How (?:do|can) (?:you|we|one) (.+?)\\?$',
            [
                'How do you {0}?',
                'How can you {0}?',
                'How to {0}?',
                'How do I {0}?',
                'What is the way to {0}?',
            ],
        ),
        (
            '^how (?:do|can) (?:i|I) (.+?)\\??$',
            [
                'How do I {0}?',
                'how to {0}',
                'how can i {0}',
            ],
        ),
        (
            '^How to (.+?)\\??$',
            [
                'How do I {0}?',
                'How can I {0}?',
                'how to {0}',
                'What is the way to {0}?',
            ],
        ),
        (
            '^Can I (.+?)\\?$',
            [
                'Could I {0}?',
                'Is it possible to {0}?',
                'Am I able to {0}?',
                'can i {0}',
                'Can I {0}, please?',
                'I would like to know if I can {0}',
                'Would it be possible for me to {0}?',
                'Is it possible for me to {0}?',
            ],
        ),
        (
            '^Is it possible to (.+?)\\?$',
            [
                'Can I {0}?',
                'Can one {0}?',
                'Is there a way to {0}?',
                'is it possible to {0}',
            ],
        ),
        (
            '^What is (.+?)\\?$',
            [
                "What's {0}?",
                'Can you tell me what {0} is?',
                'what is {0}',
            ],
        ),
        (
            "^What's (.+?)\\?$",
            [
                'What is {0}?',
                'Tell me what {0} is.',
            ],
        ),
        (
            '^Where (?:do|can) I (.+?)\\?$',
            [
                'Where do I {0}?',
                'Where can I {0}?',
                'where can i {0}',
                'In which place can I {0}?',
                'Do you know where I can {0}?',
            ],
        ),
        (
            '^When (?:do|can) I (.+?)\\?$',
            [
                'Do you know when I can {0}?',
                'when can i {0}',
                'At what time can I {0}?',
            ],
        ),
        (
            '^How long does (.+?) take(.*?)\\?$',
            [
                'How much time does {0} take{1}?',
                'how long does {0} take{1}',
                'How long will {0} take{1}?',
                'How long is {0} going to take{1}?',
                'Can you tell me how long {0} takes{1}?',
            ],
        ),
        (
            '^How much does (.+?) cost(.*?)\\?$',
            [
                'What does {0} cost{1}?',
                'How much is {0}{1}?',
                'What is the price of {0}{1}?',
                'How expensive is {0}{1}?',
                'Tell me how much {0} costs{1}, please.',
            ],
        ),
        (
            '^Do I (?:need|have) to (.+?)\\?$',
            [
                'Do I have to {0}?',
                'Do I need to {0}?',
                'Is it necessary to {0}?',
                'do i need to {0}',
                'Must I {0}?',
            ],
        ),
        (
            '^Do you (offer|have|sell|accept|take|provide) (.+?)\\?$',
            [
                'Do you {0} {1}?',
                'Is it true that you {0} {1}?',
                'do you {0} {1}',
            ],
        ),
        (
            '^Which (.+?) (?:can|may) I (.+?)\\?$',
            [
                'What {0} can I {1}?',
            ],
        ),
        (
            '^What happens if (.+?)\\?$',
            [
                'What will happen if {0}?',
                'What if {0}?',
                'What happens when {0}?',
            ],
        ),
    ],
    "de": [
        (
            '^Wie kann ich (.+?)\\?$',
            [
                'Wie könnte ich {0}?',
                'Auf welche Weise kann ich {0}?',
                'Können Sie mir sagen, wie ich {0} kann?',
                'wie kann ich {0}',
                'Wie kann man {0}?',
                'Ich möchte wissen, wie ich {0} kann.',
                'Welche Möglichkeit habe ich, {0}?',
            ],
        ),
        (
            '^Wie kann man (.+?)\\?$',
            [
                'Wie kann ich {0}?',
                'Auf welche Weise kann man {0}?',
                'wie kann man {0}',
            ],
        ),
        (
            '^Kann ich (.+?)\\?$',
            [
                'Könnte ich {0}?',
                'Kann man {0}?',
                'Darf ich fragen, ob ich {0} kann?',
                'kann ich {0}',
                'Ist es mir möglich, dass ich {0} kann?',
                'Wissen Sie, ob ich {0} kann?',
            ],
        ),
        (
            '^Wo kann ich (.+?)\\?$',
            [
                'An welcher Stelle kann ich {0}?',
                'Wo kann man {0}?',
                'Können Sie mir sagen, wo ich {0} kann?',
                'wo kann ich {0}',
            ],
        ),
        (
            '^Was ist (.+?)\\?$',
            [
                'Können Sie erklären, was {0} ist?',
                'was ist {0}',
                'Sagen Sie mir bitte, was {0} ist.',
            ],
        ),
        (
            '^Muss ich (.+?)\\?$',
            [
                'Muss man {0}?',
                'muss ich {0}',
                'Wissen Sie, ob ich {0} muss?',
            ],
        ),
        (
            '^Wie lange dauert (.+?)\\?$',
            [
                'Wie viel Zeit braucht {0}?',
                'Wie lange braucht {0}?',
                'wie lange dauert {0}',
            ],
        ),
        (
            '^Wie viel kostet (.+?)\\?$',
            [
                'Was kostet {0}?',
                'Wieviel kostet {0}?',
                'wie viel kostet {0}',
                'Wie teuer ist {0}?',
            ],
        ),
        (
            '^Was kostet (.+?)\\?$',
            [
                'Wie viel kostet {0}?',
                'Wie teuer ist {0}?',
                'was kostet {0}',
            ],
        ),
        (
            '^Wie (lösche|ändere|finde|bekomme|öffne|schalte|setze|richte|stelle|mache|sehe|lege|trage|lade|teile|nutze|benutze|starte|erstelle|entferne|beantrage|melde|speichere|exportiere|importiere|verbinde|sperre|aktiviere|deaktiviere|installiere|repariere|koche|schneide|lagere|berechne|prüfe|kündige) ich (.+?)\\?$',
            [
                'Wie {0} ich {1}?',
                'Wissen Sie, wie ich {1} {0}?',
                'wie {0} ich {1}',
                'Wie genau {0} ich {1}?',
                'Auf welche Weise {0} ich {1}?',
            ],
        ),
        (
            '^Was passiert, wenn (.+?)\\?$',
            [
                'Was geschieht, wenn {0}?',
                'was ist, wenn {0}',
                'Was ist, wenn {0}?',
            ],
        ),
    ],
    "fr": [
        (
            '^Comment (?:puis-je|est-ce que je peux|je peux) (.+?) ?\\?$',
            [
                'Comment puis-je {0} ?',
                'Comment est-ce que je peux {0} ?',
                'Comment {0} ?',
                'Comment faire pour {0} ?',
                'De quelle manière puis-je {0} ?',
                'comment {0}',
                'Comment peut-on {0} ?',
                'Pouvez-vous me dire comment {0} ?',
                'Que faut-il faire pour {0} ?',
                'Je voudrais savoir comment {0}.',
            ],
        ),
        (
            "^Comment (?!est-ce|puis|se |le |la |les |l')(\\w+(?:er|ir|re)) (.+?) ?\\?$",
            [
                'Comment puis-je {0} {1} ?',
                'Comment est-ce que je peux {0} {1} ?',
                'Comment faire pour {0} {1} ?',
                'comment {0} {1}',
                'Que dois-je faire pour {0} {1} ?',
                'Quelle est la façon de {0} {1} ?',
            ],
        ),
        (
            '^(?:Puis-je|Est-ce que je peux|Je peux) (.+?) ?\\?$',
            [
                'Puis-je {0} ?',
                'Est-ce que je peux {0} ?',
                'Est-il possible de {0} ?',
                'Peut-on {0} ?',
                'je peux {0} ?',
                'Ai-je la possibilité de {0} ?',
            ],
        ),
        (
            '^Peut-on (.+?) ?\\?$',
            [
                'Puis-je {0} ?',
                'Est-ce qu’on peut {0} ?',
                'Est-il possible de {0} ?',
                'on peut {0} ?',
            ],
        ),
        (
            '^Où (?:puis-je|est-ce que je peux) (.+?) ?\\?$',
            [
                'Où puis-je {0} ?',
                'Où est-ce que je peux {0} ?',
                'Où peut-on {0} ?',
                'À quel endroit puis-je {0} ?',
                'Où {0} ?',
            ],
        ),
        (
            '^(?:Dois-je|Est-ce que je dois) (.+?) ?\\?$',
            [
                'Dois-je {0} ?',
                'Est-ce que je dois {0} ?',
                'Faut-il {0} ?',
                'je dois {0} ?',
                'Suis-je obligé de {0} ?',
            ],
        ),
        (
            '^Combien coûte (.+?) ?\\?$',
            [
                'Quel est le prix de {0} ?',
                'combien coûte {0}',
                'Combien vaut {0} ?',
            ],
        ),
        (
            "^Qu'est-ce que (.+?) ?\\?$",
            [
                "C'est quoi, {0} ?",
            ],
        ),
        (
            '^Que se passe-t-il si (.+?) ?\\?$',
            [
                "Qu'arrive-t-il si {0} ?",
                'Il se passe quoi si {0} ?',
            ],
        ),
    ],
}
# `{0}` is the question within a sentence, `{1}` as it stands.
WRAPPED = {
    "en": [
        'Hi, {0}',
        'Please, {0}',
        'Quick question: {0}',
        '{1} Thanks!',
        'Hello! {1}',
        '{1} Please help.',
        'I have a question: {0}',
        'Excuse me, {0}',
        'So {0}',
    ],
    "de": [
        'Hallo, {0}',
        'Kurze Frage: {0}',
        '{1} Danke!',
        'Guten Tag! {1}',
        'Ich habe eine Frage: {0}',
        'Bitte, {0}',
        'Entschuldigung, {0}',
    ],
    "fr": [
        'Bonjour, {0}',
        'Petite question : {0}',
        '{1} Merci !',
        'Bonjour ! {1}',
        "J'ai une question : {0}",
        'Excusez-moi, {0}',
        "S'il vous plaît, {0}",
    ],
}
CONTRACTED = [
    ('What is ', "What's "),
    ('Where is ', "Where's "),
    ('I have ', "I've "),
    ('I am ', "I'm "),
    ('do not ', "don't "),
    ('does not ', "doesn't "),
    ('is not ', "isn't "),
    ('cannot ', "can't "),
    ('can not ', "can't "),
    ('did not ', "didn't "),
    ('will not ', "won't "),
    ('How is ', "How's "),
    ('it is ', "it's "),
]
ARTICLES = {
    "en": '\\b(?:the|a|an) ',
    "de": '\\b(?:der|die|das|den|dem|des|ein|eine|einen|einem|einer) ',
    "fr": '\\b(?:le|la|les|un|une|du|des) ',
}


def roll(text, count):
    """A number below `count`, always the same for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") % count


def one_of(choices, text):
    return choices[roll(text, len(choices))]


def opened_otherwise(text, language):
    found = []
    for pattern, forms in OPENINGS[language]:
        if match := re.match(pattern, text):
            found += [form.format(*match.groups()) for form in forms]
    return [other for other in found if other != text]


def written_otherwise(text, language):
    """In lower case, contracted, or without an article."""
    found = [text.lower().rstrip(" ?.!"), text.rstrip(" ?.!")]
    if language == "en":
        for whole, short in CONTRACTED:
            found += [text.replace(whole, short), text.replace(short, whole)]
    articles = list(re.finditer(ARTICLES[language], text))
    if articles:
        article = one_of(articles, text)
        rest = text[: article.start()] + text[article.end() :]
        found.append(rest[:1].upper() + rest[1:])
        if language == "en":
            found.append(re.sub(ARTICLES[language], "", text))
    return [other for other in found if other and other != text]


def wrapped(text, language):
    lower = text if language == "de" or text.startswith("I ") else text[:1].lower() + text[1:]
    return one_of(WRAPPED[language], "w" + text).format(lower, text)


def rewordings(text, language, count, salt=""):
    """At most so many, those of the opening first."""
    found = []
    opened = opened_otherwise(text, language)
    if opened:
        found.append(one_of(opened, salt + "o" + text))
    if len(opened) > 2:
        found.append(one_of(opened, salt + "p" + text))
    if written := written_otherwise(text, language):
        found.append(one_of(written, salt + "l" + text))
    if opened and roll(salt + "c" + text, 2):
        if written := written_otherwise(found[0], language):
            found.append(one_of(written, salt + "d" + text))
    if roll(salt + "x" + text, 4) == 0:
        found.append(wrapped(text, language))
    return [other for other in dict.fromkeys(found) if other != text][:count]


class Exchanges:
    """Puts a word that other questions have in the place of one."""

    COMMON = 120

    def __init__(self, texts):
        counts = {}
        for language, text in texts:
            for word in WORD.findall(text):
                of_language = counts.setdefault(language, {})
                of_language[word] = of_language.get(word, 0) + 1
        self.common, self.alike = {}, {}
        for language, words in counts.items():
            ranked = sorted(words, key=lambda word: (-words[word], word))
            self.common[language] = set(ranked[: self.COMMON])
            for word in ranked[self.COMMON :]:
                if words[word] >= 3:
                    self.alike.setdefault(shape(word, language), []).append(word)

    def exchange(self, text, language, salt):
        """`None` where no word has another of its shape."""
        words = [
            match
            for match in WORD.finditer(text)
            if match.group() not in self.common[language] and match.start() > 0
        ]
        if not words:
            return None
        word = one_of(words, salt + "e" + text)
        begins = word.group().lower()[:4]
        others = [
            other
            for other in self.alike.get(shape(word.group(), language), [])
            if not other.lower().startswith(begins)
        ]
        if not others:
            return None
        return text[: word.start()] + one_of(others, salt + "f" + text) + text[word.end() :]


WORD = re.compile(r"[^\W\d_]{4,}")


def shape(word, language):
    """Words of one shape are often of one kind: a noun, a participle."""
    return language, word[0].isupper(), word[-2:].lower()
