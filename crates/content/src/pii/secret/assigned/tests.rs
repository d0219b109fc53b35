use crate::pii::tests::values as found;

#[test]
fn what_is_called_a_secret_is_one() {
    for (text, secret) in [
        ("password: hunter2!", "hunter2!"),
        ("Password=Pa55word!;x", "Pa55word!"),
        ("password: Tr0ub4dor&3", "Tr0ub4dor&3"),
        ("/login?password=a1b2&c3&next=/home", "a1b2&c3"),
        ("pwd is correct-horse-battery!!", "correct-horse-battery!!"),
        ("Pwd=Xy12zz.;Timeout=5", "Xy12zz."),
        (
            "Authorization: Bearer 8f14e45fceea167a5a36dedd4bea2543",
            "8f14e45fceea167a5a36dedd4bea2543",
        ),
        (
            r#"{"Authorization": "Basic YWRtaW46aHVudGVyMg=="}"#,
            "YWRtaW46aHVudGVyMg==",
        ),
        (
            "curl -H 'authorization: bearer ab12CD34ef56GH78'.",
            "ab12CD34ef56GH78",
        ),
        ("PASSWORD=Correct-Horse", "Correct-Horse"),
        (r#"{"client_secret": "a8Qzz9"}"#, "a8Qzz9"),
        ("my password is Tr0ub4dor", "Tr0ub4dor"),
        ("Das Passwort ist Geheim123.", "Geheim123"),
        ("le mot de passe est Soleil42", "Soleil42"),
        ("contraseña: Luna2024", "Luna2024"),
        ("Endpoint=sb://x/;SharedAccessKey=abc123DEF=;", "abc123DEF="),
        ("Server=db;User Id=sa;Pwd=Xy12zz;", "Xy12zz"),
        ("api key: 9f8e7d6c5b", "9f8e7d6c5b"),
    ] {
        assert_eq!(found(text), [secret], "{text}");
    }
}

#[test]
fn talk_about_secrets_is_none() {
    for text in [
        "password: required",
        "Your password must be long",
        "password=${DB_PASSWORD}",
        "password=********",
        "the secret is out",
        "passwords are hashed",
        "Pass: 12",
        "the bearer of this letter, bearer responsibilities",
        "Basic authentication, basic information12345",
        "Authorization: Bearer <token>",
    ] {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn a_value_is_found_behind_whatever_joins_it_to_its_name() {
    for (text, secret) in [
        // Markdown and HTML.
        ("**Password:** Sup3rS3cretPa55", "Sup3rS3cretPa55"),
        ("- **Password**: Sup3rS3cretPa55", "Sup3rS3cretPa55"),
        ("*Password:* Sup3rS3cretPa55", "Sup3rS3cretPa55"),
        ("__Password:__ Sup3rS3cretPa55", "Sup3rS3cretPa55"),
        ("**Your API key:** 3f9a8b7c", "3f9a8b7c"),
        ("Password: **Sup3rS3cretPa55**", "Sup3rS3cretPa55"),
        ("Password: `Sup3rS3cretPa55`", "Sup3rS3cretPa55"),
        (
            "<li><b>Passwort:</b> Sup3rS3cretPa55</li>",
            "Sup3rS3cretPa55",
        ),
        // XML.
        ("<password>Sup3rS3cretPa55</password>", "Sup3rS3cretPa55"),
        (
            "<wsse:Password>Sup3rS3cretPa55</wsse:Password>",
            "Sup3rS3cretPa55",
        ),
        ("<apiKey>3f9a8b7c</apiKey>", "3f9a8b7c"),
        // JSON within a string, and quotes within quotes.
        (r#"{\"password\":\"Sup3rS3cretPa55\"}"#, "Sup3rS3cretPa55"),
        (
            r#"{\\\"password\\\": \\\"Sup3rS3cretPa55\\\"}"#,
            "Sup3rS3cretPa55",
        ),
        (
            r#"{"a": "{\"password\": \"Gr8\\\"Pass12\"}"}"#,
            r#"Gr8\\\"Pass12"#,
        ),
        (r#"password: "Gr8\"Pass12" ok"#, r#"Gr8\"Pass12"#),
        (r#""note": "PASSWORD=Sup3rS3cret\nUSER=x""#, "Sup3rS3cret"),
        // Programs.
        (
            r#"os.environ["OPENAI_API_KEY"] = "3f9a8b7c6d5e""#,
            "3f9a8b7c6d5e",
        ),
        ("config['password'] = 'Sup3rS3cretPa55'", "Sup3rS3cretPa55"),
        (
            "define('DB_PASSWORD', 'Sup3rS3cretPa55');",
            "Sup3rS3cretPa55",
        ),
        (r#"password := "Sup3rS3cretPa55""#, "Sup3rS3cretPa55"),
        (r#"let apiKey: string = "3f9a8b7c""#, "3f9a8b7c"),
        (
            r#"const PASSWORD: &str = "Sup3rS3cretPa55";"#,
            "Sup3rS3cretPa55",
        ),
        (
            r#"const PASSWORD: &'static str = "Sup3rS3cret";"#,
            "Sup3rS3cret",
        ),
        (
            r#"password: str | None = "Sup3rS3cretPa55""#,
            "Sup3rS3cretPa55",
        ),
        (
            r#"def login(user, password: str="Sup3rS3cret"):"#,
            "Sup3rS3cret",
        ),
        ("'password' => 'Sup3rS3cretPa55',", "Sup3rS3cretPa55"),
        (r#"PASSWORD = b"Sup3rS3cretPa55""#, "Sup3rS3cretPa55"),
        ("PASSWORD = Sup3rS3cretPa55", "Sup3rS3cretPa55"),
        ("token: password=\"swordfish\"", "swordfish"),
        (
            r#"{"name": "DB_PASSWORD", "value": "Sup3rS3cret"}"#,
            "Sup3rS3cret",
        ),
        (
            r#"<add key="Password" value="Sup3rS3cret"/>"#,
            "Sup3rS3cret",
        ),
        ("- name: DB_PASSWORD\n  value: Sup3rS3cret", "Sup3rS3cret"),
        // Sentences.
        ("das Passwort ist „Sup3rS3cretPa55“.", "Sup3rS3cretPa55"),
        ("(«password: Sup3rS3cretPa55»)", "Sup3rS3cretPa55"),
        (
            "Your temporary password is: Sup3rS3cretPa55",
            "Sup3rS3cretPa55",
        ),
        ("Das Passwort lautet: Sup3rS3cretPa55.", "Sup3rS3cretPa55"),
        ("Das Passwort lautet Sup3rS3cretPa55.", "Sup3rS3cretPa55"),
        ("la password è Sup3rS3cretPa55", "Sup3rS3cretPa55"),
        // The next line.
        ("Password:\nSup3rS3cretPa55\n", "Sup3rS3cretPa55"),
        ("Password:\r\n  Sup3rS3cretPa55", "Sup3rS3cretPa55"),
        ("password: |\n  Sup3rS3cretPa55\n", "Sup3rS3cretPa55"),
        ("password: >-\n  Sup3rS3cretPa55\n", "Sup3rS3cretPa55"),
        // Commands and SQL.
        ("login --password Sup3rS3cretPa55 -v", "Sup3rS3cretPa55"),
        ("curl -u admin:Sup3rS3cret https://a.example", "Sup3rS3cret"),
        ("curl --user 'admin:Sup3rS3cret' a", "Sup3rS3cret"),
        ("mysql -u root -pSup3rS3cret shop", "Sup3rS3cret"),
        ("CREATE USER a IDENTIFIED BY 'Sup3rS3cret';", "Sup3rS3cret"),
        ("ALTER ROLE a WITH PASSWORD 'Sup3rS3cret';", "Sup3rS3cret"),
    ] {
        assert_eq!(found(text), [secret], "{text}");
    }
}

#[test]
fn secrets_have_many_names() {
    const HEX: &str = "3f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c";
    for (before, secret) in [
        ("DB_PASS=", "Sup3rS3cret"),
        ("SMTP_PASS=", "hunter2"),
        ("\"pass\": \"", "Sup3rS3cret"),
        ("PGPASSWORD=", "swordfish"),
        ("keyStorePassword=", "swordfish"),
        ("keyStorePassword = ", "Sup3rS3cret"),
        ("pw: ", "Sup3rS3cret"),
        ("mdp : ", "Soleil42"),
        ("clave: ", "Luna2024"),
        ("token: ", "3f9a8b7c"),
        ("TOKEN=", HEX),
        ("GITHUB_TOKEN=", HEX),
        ("SLACK_BOT_TOKEN=", HEX),
        ("\"id_token\": \"", HEX),
        ("\"bearerToken\": \"", HEX),
        ("AZURE_OPENAI_KEY=", HEX),
        ("STORAGE_ACCOUNT_KEY=", "kX9/fQ2m+Rt7Lw4Zp8Vb1Ns6Hc3Jd5Gg=="),
        ("ENCRYPTION_KEY=", HEX),
        ("SIGNING_KEY=", HEX),
        ("PRIVATE_KEY=", HEX),
        ("SECRET_KEY_BASE=", HEX),
        ("SECRET_KEY=", "correct-horse"),
        ("\"primaryKey\": \"", "kX9fQ2mRt7Lw4Zp8Vb1Ns6Hc3Jd5Gg=="),
        ("API-Schlüssel: ", HEX),
        ("API Schlüssel: ", HEX),
        ("clé API : ", HEX),
        ("clave API: ", HEX),
        ("chiave API: ", HEX),
        ("access token: ", "3f9a8b7c"),
        ("Authorization: token ", HEX),
        ("Authorization: ", HEX),
        ("Authorization: Bearer ", HEX),
        ("PRIVATE-TOKEN: ", HEX),
        ("X-Vault-Token: ", "s.8dK2mP9xQ4rT7vW1"),
        ("Ocp-Apim-Subscription-Key: ", HEX),
        ("https://a.example/x?token=", HEX),
        ("https://a.example/x?v=1&key=", HEX),
        (
            "https://a.example/x?sp=r&sig=",
            "kX9%2FfQ2m%2BRt7Lw4Zp8Vb1Ns6Hc3Jd5Gg%3D",
        ),
        ("https://a.example/x?X-Amz-Signature=", HEX),
    ] {
        let quote = if before.ends_with('"') { "\"" } else { "" };
        let text = format!("{before}{secret}{quote} and more");
        assert_eq!(found(&text), [secret], "{text}");
    }
}

#[test]
fn a_program_that_handles_secrets_has_none() {
    for text in [
        "def login(user, password=None):",
        "password = null",
        "const password = null;",
        "password: Optional[str] = None",
        "password = getpass.getpass()",
        "password: z.string().min(8)",
        "password = models.CharField(max_length=128)",
        "const password = req.body.password;",
        "password: user.password,",
        "secret = os.getenv(\"SECRET\")",
        "api_key = os.environ.get(\"API_KEY\")",
        "api_key = os.environ[\"X\"]",
        "apiKey: process.env.API_KEY",
        "apiKey: process.env.API_KEY!,",
        "client_secret = var.client_secret",
        "if password == hashed_password:",
        "if (password === hashedPassword2) {",
        "accessToken = await getToken(user)",
        "secret: &str",
        "fn sign(secret: &'a str, token: Option<String>)",
        "password: !Ref DbPassword",
        "access_token: data[\"access_token\"]",
        "password = random_password.db.result",
        "password=false",
        "connect(user=user, password=db_password)",
        "password: SecretStr = Field(min_length=8)",
        "password: hashedPassword,",
        "password = base64.b64decode(data)",
        "$user->password = $request->password;",
        "secret = Secret::new(bytes)",
        "Secret::from_bytes(b1)",
        "UPDATE users SET password = @password",
        "INSERT (password) VALUES (:password1)",
        "[\"username\", \"password\", \"email2\"]",
        "request.getParameter(\"password\")",
        "setattr(\"password\", \"field\")",
        "<label for=\"password\">Password</label> <b>Name1</b>",
        "<input type=\"password\" name=\"password\">",
        "password:\n  type: string\n  minLength: 8",
        "Password:\nUsername: anna1234",
        "PASSWORD=\nDB_HOST1=abc123",
        "token => verify(token)",
        "password = (String) map.get(\"password\");",
        "password: FormControl<string>;",
        "{\"password\": \"string\"}",
        "\"api_key\": \"OPENAI_API_KEY\"",
        "api_key=\"sk-...\"",
        "pwd: /home/user/project1",
        "secret: kubernetes.io/tls",
        "--- PASS: TestLogin2 (0.00s)",
        "docker run -u 1000:1000 -p 8080:80 image",
        "ssh -p2222 host, tar -pxvf a1b2c3.tar",
    ] {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn what_is_called_a_token_or_a_key_must_look_like_one() {
    for text in [
        "\"max_tokens\": 100",
        "token: string",
        "token: token1",
        "primary_key=True",
        "key: value",
        "key: user_12345",
        "\"key\": \"PROJ-12345678\"",
        "\"key\": \"uploads/2024/11/3f9a8b7c6d5e.png\"",
        "\"key\": \"550e8400-e29b-41d4-a716-446655440000\"",
        "\"key\": \"2024-11-22T10:30:00Z\"",
        "public_key: 3f9a8b7c6d5e4f3a2b1c",
        "\"nextPageToken\": \"CAoQAA3f9a8b7c\"",
        "pass: true",
        "foreign key: id",
        "the key is under the mat",
        "token = lexer.next_token2()",
        "la clave es la constancia",
        "clave: valor",
        "Authorization: AWS4-HMAC-SHA256 Credential",
        "identified by 'name'",
    ] {
        assert_eq!(found(text), [""; 0], "{text}");
    }
}

#[test]
fn a_long_value_is_found_whole_and_names_within_one_do_not_read_it_again() {
    let secret = "aB3-".repeat(1000);
    assert_eq!(found(&format!("PASSWORD={secret} x")), [&secret]);
    assert_eq!(found(&format!("token={secret} x")), [&secret]);
    assert_eq!(found(&"key=a-".repeat(4_000)), [""; 0]);
    assert_eq!(found(&"password=$-".repeat(4_000)), [""; 0]);
}
