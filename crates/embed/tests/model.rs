//! The model itself, against vectors that ONNX Runtime made of the same file (`reference/make.py`).

#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;

use embed::{DIMENSIONS, Files, Lane, Model, PIECES_MAX, count_pieces};

/// Another order of additions gives other last digits. Measured: no less than 0.999999.
const COSINE_MIN: f32 = 0.9999;

#[test]
fn vectors_are_those_of_the_reference() {
    let model = Model::open(&files()).unwrap();
    let reference = include_str!("reference/vectors.tsv");
    for line in reference.lines() {
        let (text, numbers) = line.split_once('\t').unwrap();
        let text: String = serde_json::from_str(text).unwrap();
        let expected: Vec<f32> = numbers.split(' ').map(|n| n.parse().unwrap()).collect();
        let vectors = model.embed(&[&text], &Lane::default()).unwrap();
        let near = cosine(&vectors[0], &expected);
        assert!(near > COSINE_MIN, "{text:?}: {near}");
    }
    assert_eq!(reference.lines().count(), 20);
}

#[test]
fn a_text_has_the_same_vector_alone_and_among_others() {
    let model = Model::open(&files()).unwrap();
    let lane = Lane::default();
    let long = "a long text of many words ".repeat(100);
    let texts = [
        "short",
        "How do I reset my password?",
        &long,
        "",
        "short",
        "two words",
    ];
    let together = model.embed(&texts, &lane).unwrap();
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(vector.len(), DIMENSIONS);
        let alone = &model.embed(&[text], &lane).unwrap()[0];
        assert!(cosine(alone, vector) > COSINE_MIN, "{text:?}");
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-5, "{text:?}");
    }
}

#[test]
fn paraphrases_are_nearer_than_other_questions() {
    let model = Model::open(&files()).unwrap();
    let texts = [
        "How do I reset my password?",
        "What are the steps to reset my password?",
        "When does the store open on Sundays?",
    ];
    let [asked, same, other] = &model.embed(&texts, &Lane::default()).unwrap()[..] else {
        unreachable!("three texts, three vectors");
    };
    assert!(cosine(asked, same) > 0.9);
    assert!(cosine(asked, other) < 0.3);
}

#[test]
fn of_a_text_that_is_too_long_the_start_is_read() {
    let model = Model::open(&files()).unwrap();
    let fits = "word ".repeat(PIECES_MAX - 2);
    let longer = format!("{fits} and then something else");
    assert_eq!(count_pieces(&fits), PIECES_MAX);
    let vectors = model.embed(&[&fits, &longer], &Lane::default()).unwrap();
    assert!(cosine(&vectors[0], &vectors[1]) > COSINE_MIN);
}

#[test]
fn no_texts_have_no_vectors() {
    let model = Model::open(&files()).unwrap();
    assert!(model.embed(&[], &Lane::default()).unwrap().is_empty());
}

#[test]
fn another_file_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let altered = folder.path().join(embed::FILE_NAME);
    let mut bytes = std::fs::read(files().model).unwrap();
    bytes[1_000_000] ^= 1;
    std::fs::write(&altered, &bytes).unwrap();
    assert_refused(&altered);
    // Cut short, as a full disk or a broken copy leaves it.
    std::fs::write(&altered, &bytes[..1_000_000]).unwrap();
    assert_refused(&altered);
}

fn assert_refused(file: &std::path::Path) {
    let files = Files {
        model: file.to_owned(),
    };
    let Err(refused) = Model::open(&files) else {
        panic!("it was loaded");
    };
    let refused = refused.to_string();
    assert!(
        refused.contains("replace it: tollgate cache install-model"),
        "{refused}"
    );
}

/// Fails rather than skips: a test that needs the model proves nothing without it.
fn files() -> Files {
    let named = std::env::var_os("TOLLGATE_MODELS").map(PathBuf::from);
    let cache = embed::user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    let folders: Vec<PathBuf> = named.into_iter().chain(cache).collect();
    embed::find(&folders).unwrap_or_else(|missing| panic!("{missing} (or: make model)"))
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}
