use proptest::prelude::*;

use super::*;

const PERSONAL: &[&str] = &[
    "anna.schmidt@mail.example.co.uk",
    "+49 (0)30 901-820",
    "(555) 123-4567",
    "Tel. 030/1234567",
    "Fon: +49 (0) 171 / 123 45 67",
    "Tel. 089 / 12 34 56 78",
    "Tel.: 030 1234 - 567",
    "Tel.: 0171 – 1234567",
    "Tel.: 0171—1234567",
    "Tel. 0171 1234567 / 0172 7654321",
    "Tel. 030 1234567 10:30",
    "1 (212) 555-0147",
    "011 44 20 7946 0958",
    "Tél : (+33) 6 12 34 56 78",
    "mon numéro est : 0612345678",
    "reach me at 415 555 2671",
    "M: 212 555 0147",
    "https://wa.me/491711234567",
    "phone_number: 491711234567",
    "+49  171  1234567",
    "+49\t171\t1234567",
    "+49\u{2009}171\u{2009}1234567",
    "call 2024-03-12 14:00",
    "loss: 0.0612345678",
    "DE89 3704 0044 0532 0130 00",
    "MT84MALT011000012345MTLCAST001S",
    "IT 60 X 05428 11101 000000123456",
    "GB29 - NWBK - 601613 - 31926819",
    "gb29 nwbk 6016 1331 9268 19",
    "MT84 MALT 0110 0001 2345 MTLC AST0 01S",
    "DE89  3704  0044\r\n0532\t0130  00",
    "IBANDE89370400440532013000",
    "IBAN: NO 9386011117947",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "4111 - 1111 - 1111 - 1111",
    "4111_1111_1111_1111",
    "4111\u{2009}1111\u{2009}1111\u{2009}1111",
    "card 4111\t1111\t1111\t1111",
    "card 4111 11111111 1111",
    "card 3782   822463   10005",
    "203.0.113.77",
    "2001:db8::8a2e:370:7334",
    "00:1A:2b:3c:4d:5E",
    "47 036 892 816",
    "15 070649 C 103",
    "1 84 12 76 451 089 46",
    "12.345.678-Z",
    "RSSMRA85T10A562S",
    "RSS MRA 85T10 A562S",
    "+AA-RSS MRA 85T10 A562S",
    "RSS MRA 85 T 10 A 562 S",
    "DNI número 12 345 678 Z",
    "Reisepassnummer: C01X 00T4 7",
    "Personalausweisnummer: L 01X 00T 471",
    "carta d'identità CA12345AA",
    "a,passport\nx,C01X00T47\ny,C01X00T48\n",
    "MAC: 001122334455",
    "logo@2x.webp",
    "85.07.30-033.28",
    "AB 12 34 56 C",
    "SSN 536-90-4399",
    "born on 12 March 1985",
    "geboren am 12. März 1985",
    "nacido el 12 de marzo de 1985",
    "birthday: March 12, 1985",
    "born on March 12th, 1985",
    "born in March 1985",
    "D.O.B. 12/03/1985",
    "(* 12. März 1985)",
    "geb. 12. 03. 1985",
    "nato il 1° marzo 1985",
    "\"birthDate\": \"1985-03-12T00:00:00Z\"",
    "birthDate: 19850312",
    "birthday party on 12 March 2025",
    "| DOB |\n|---|\n| 12.03.1985 |\n| 13.04.1990 |\n| 14.05.1991 |",
    "a,dob\nx,12.03.1985\ny,13.04.1990\n",
    "upgrade from 2.4.1.0 to 2.5.0.1",
    "passport C01X00T47",
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10",
    "sk-proj-a1B2c3D4e5F6g7H8i9J0k1L2",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAK\n-----END RSA PRIVATE KEY-----",
    "postgres://app:s3cr3t@db.internal:5432",
    "password: hunter2!x",
    "my password is Tr0ub4dor",
    "le mot de passe est Soleil42",
    "api key: 9f8e7d6c5b",
    "/login?password=a1b2&c3&next=/home",
    "Pwd=Xy12zz.;Timeout=5",
    "Authorization: Bearer 8f14e45fceea167a5a36dedd4bea2543",
    "Authorization: Basic YWRtaW46aHVudGVyMg==",
    "?to=anna.schmidt%40example.com&cc=b",
    "anna.schmidt＠example.com",
    "password: 0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3aB4cD5eF6gH7iJ8kL9mN0oP1qR2sT3uV4wX5yZ6aB7cD8eF9gH0iJ1kL2mN3oP4qR5",
    "\"client_secret\": \"a8Qzz9 b7\"",
    "\"dbPassword\": \"a b of a long one\"",
    "user\\n4111111111111111\\t",
    "Hallo\\\\nanna@example.com\\r\\n",
    "DE89\\u00a03704\\u00a00044\\u00a00532\\u00a00130\\u00a000",
    "contrase\\u00f1a: Luna2024",
    "4111\u{200b}1111\u{200b}1111\u{200b}1111",
    "+49\u{2009}30\u{2009}901820",
    "\u{202a}+49 30 901820\u{202c}",
    "４１１１ １１１１ １１１１ １１１１",
    "anna.schmidt@exam\u{ad}ple.com",
    "joe&#64;example.com&nbsp;",
    "**Password:** Sup3rS3cretPa55",
    "**Password**: **Sup3rS3cretPa55**",
    "__Password:__ Sup3rS3cretPa55",
    "<li><b>Passwort:</b> Sup3rS3cretPa55</li>",
    "<wsse:Password>Sup3rS3cretPa55</wsse:Password>",
    r#"{\"password\": \"Gr8 \\\"Pass12\"}"#,
    r#"password: "Gr8 \" Pass12" ok"#,
    r#"os.environ["OPENAI_API_KEY"] = "3f9a8b7c 6d5e""#,
    "define( 'DB_PASSWORD', 'Sup3r S3cretPa55' )",
    "(\"PASSWORD\", 'Sup3r S3cretPa55')",
    r#"password := "Sup3r S3cret""#,
    r#"const PASSWORD: &'static str = "Sup3r S3cret";"#,
    r#"password: str | None = "Sup3r S3cret""#,
    "password: SecretStr = Field(x)",
    r#"{"name": "DB_PASSWORD", "value": "Sup3r S3cret"}"#,
    "- name: DB_PASSWORD\n  value: Sup3rS3cret",
    "'password' => 'Sup3r S3cret'",
    "Your temporary password is: Sup3rS3cretPa55",
    "Das Passwort lautet: Sup3rS3cretPa55.",
    "das Passwort ist „Sup3rS3cretPa55“.",
    "la password è Sup3rS3cretPa55",
    "Password:\r\n  Sup3rS3cretPa55",
    "password: >-\n  Sup3rS3cretPa55\n",
    "login --password Sup3rS3cretPa55 -v",
    "curl -u admin:Sup3rS3cret https://a.example",
    "curl --user 'admin:Sup3rS3cret' a",
    "mysql -u root -pSup3rS3cret shop",
    "IDENTIFIED BY 'Sup3r S3cret';",
    "WITH PASSWORD 'Sup3r S3cret';",
    "keyStorePassword = \"a b of a long one\"",
    "clé API : 3f9a8b7c6d5e",
    "API Schlüssel: 3f9a8b7c6d5e",
    "aws secret access key: 3f9a8b7c6d5e",
    "public key: 3f9a8b7c6d5e4f3a",
    "mdp : Soleil42",
    "token: 3f9a8b7c6d5e",
    "Authorization: token 3f9a8b7c6d5e4f3a2b1c",
    "\"Authorization\": \"ApiKey 3f9a8b7c6d5e4f3a2b1c\"",
    "https://hooks.slack.com/services/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",
    "accessToken = await getToken(user)",
    "secret = os.getenv(\"SECRET\")",
    "550e8400-e29b-41d4-a716-446655440000",
    "order 4111111111111111",
    "version 10.4.17.250",
    "The trace id was 1732270000.",
    "2024-11-22T10:30:00Z",
    "plain words of a sentence, nothing else",
    "I SHOUT AND SHOUT",
    "“Zürich” – ça va?",
    "a b c 1 2 3 4 5 6 7 8 9 10 11 12 13 14",
];

/// Texts in order, and which of them are values. Neighbouring texts are one.
fn pieces(chunks: &[&str]) -> Vec<(Option<Kind>, String)> {
    pieces_of(Stream::new(Detector::default()), chunks)
}

fn pieces_of(mut stream: Stream, chunks: &[&str]) -> Vec<(Option<Kind>, String)> {
    let mut pieces: Vec<(Option<Kind>, String)> = Vec::new();
    let mut give = |piece: Piece<'_>| match piece {
        Piece::Text(text) => match pieces.last_mut() {
            Some((None, last)) => last.push_str(text),
            _ => pieces.push((None, text.to_owned())),
        },
        Piece::Value { kind, text } => pieces.push((Some(kind), text.to_owned())),
    };
    for chunk in chunks {
        stream.push(chunk, &mut give);
    }
    stream.finish(&mut give);
    pieces
}

fn whole(text: &str) -> Vec<(Option<Kind>, String)> {
    whole_called("", text)
}

fn whole_called(name: &str, text: &str) -> Vec<(Option<Kind>, String)> {
    let mut pieces = Vec::new();
    let mut at = 0;
    for finding in Detector::default().find_called(name, text) {
        if at < finding.range.start {
            pieces.push((None, text[at..finding.range.start].to_owned()));
        }
        at = finding.range.end;
        pieces.push((Some(finding.kind), text[finding.range].to_owned()));
    }
    if at < text.len() {
        pieces.push((None, text[at..].to_owned()));
    }
    pieces
}

#[test]
fn a_text_cut_at_every_byte_is_found_as_if_whole() {
    for value in PERSONAL {
        let text = format!("Well, here it is {value} and more of it, ok.");
        let expected = whole(&text);
        for at in (1..text.len()).filter(|at| text.is_char_boundary(*at)) {
            assert_eq!(pieces(&[&text[..at], &text[at..]]), expected, "cut at {at}");
        }
        let letters: Vec<String> = text.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(pieces(&letters), expected, "letter by letter: {text}");
    }
}

#[test]
fn plain_text_flows_word_by_word() {
    let mut stream = Stream::new(Detector::default());
    for word in "The quick brown fox jumps over the lazy dog and then sleeps".split_inclusive(' ') {
        stream.push(word, |piece| assert!(matches!(piece, Piece::Text(_))));
        assert!(stream.held_bytes() <= word.len(), "{word}");
    }
}

#[test]
fn numbers_flow_no_further_behind_than_the_longest_value() {
    let mut stream = Stream::new(Detector::default());
    for number in 0..1000 {
        stream.push(&format!("{} ", number % 10), |_| {});
        assert!(stream.held_bytes() <= PHRASE_BYTES_MAX + 8);
    }
}

#[test]
fn a_long_secret_is_held_neither_whole_nor_given_out() {
    for (begin, letter, end, kind) in [
        (
            "-----BEGIN PRIVATE KEY-----\n",
            "MIIBOgIBAAJ\n",
            "-----END PRIVATE KEY-----",
            Kind::PrivateKey,
        ),
        ("password=Xy7", "zdWIiOiIxMj", "", Kind::Credential),
        ("eyJhbGciOiJIUzI1NiJ9.eyJ", "zdWIiOiIxMj", "", Kind::Jwt),
        ("password=\"Xy7", " zd, W\\\"Ii{O} ", "\"", Kind::Credential),
        ("password=\"Xy7", "\\\"", "\"", Kind::Credential),
        ("password=\"Xy7", "\\\\", "\"", Kind::Credential),
        ("password=\\\"Xy7", "z \\\\\\\"", "\\\"", Kind::Credential),
    ] {
        let mut stream = Stream::new(Detector::default());
        let mut texts = String::new();
        let mut kinds = Vec::new();
        let mut give = |piece: Piece<'_>| match piece {
            Piece::Text(text) => texts.push_str(text),
            Piece::Value { kind, .. } => kinds.push(kind),
        };
        stream.push("key: ", &mut give);
        stream.push(begin, &mut give);
        for _ in 0..2000 {
            stream.push(letter, &mut give);
            // And what may be an escape.
            assert!(stream.held_bytes() <= HELD_BYTES_MAX + letter.len() + 32);
        }
        for letter in end.split_inclusive(|_| true) {
            stream.push(letter, &mut give);
        }
        stream.push(" thanks", &mut give);
        stream.finish(&mut give);
        let left = texts.replace("password=", "").replace(['"', '\\'], "");
        assert_eq!(left, "key:  thanks");
        assert_eq!(kinds, [kind]);
    }
}

#[test]
fn memory_does_not_grow_with_the_stream() {
    let mut stream = Stream::new(Detector::default());
    for _ in 0..10_000 {
        stream.push(
            "some more words without an end and AAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            |_| {},
        );
    }
    assert!(stream.seen.text().len() < 8 * 1024 && stream.held.capacity() < 8 * 1024);
}

fn any_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => prop::sample::select(PERSONAL).prop_map(str::to_owned),
        2 => "[A-Za-z0-9@.:/ +()-]{0,12}",
        1 => "[ \\n,;\"='–é]{1,3}",
        1 => prop::sample::select(vec!["\\n", "\\u00a0", "\\", "\u{200b}", "&nbsp;", "&", "\u{2009}"])
            .prop_map(str::to_owned),
    ];
    let joint = prop::sample::select(vec![" ", " ", " ", "", "\\n", "\u{200b}"]);
    (prop::collection::vec(part, 1..8), joint).prop_map(|(parts, joint)| parts.join(joint))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn any_text_cut_anywhere_is_found_as_if_whole(
        text in any_text(),
        name in prop::sample::select(vec![
            "password", "accessToken", "DB_PASS", "dateOfBirth", "passport_number", "phone", "orderNumber", "an order's card", "note", "",
        ]),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut rest = 0;
        for cut in cuts {
            if text.is_char_boundary(cut) && cut >= rest {
                chunks.push(&text[rest..cut]);
                rest = cut;
            }
        }
        chunks.push(&text[rest..]);
        prop_assert_eq!(pieces(&chunks), whole(&text));
        // Its quotes would end it, and which there will be a stream cannot know.
        if !text.contains('"') {
            let stream = Stream::called(Detector::default(), name);
            prop_assert_eq!(pieces_of(stream, &chunks), whole_called(name, &text));
        }
    }
}
