//! The network with the model's own weights: both ways of computing, and files that are not its.

use std::path::PathBuf;

use super::product::Arithmetic;
use super::*;

fn onnx() -> Vec<u8> {
    let named = std::env::var_os("TOLLGATE_MODELS").map(PathBuf::from);
    let cache = crate::user_cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    let folders: Vec<PathBuf> = named.into_iter().chain(cache).collect();
    let files = crate::find(&folders).expect("tests need the model: make model");
    std::fs::read(files.model).unwrap()
}

#[test]
fn whole_numbers_and_floats_give_the_same_states() {
    let onnx = onnx();
    let short: Vec<u16> = vec![101, 2129, 2079, 1045, 102];
    let long: Vec<u16> = (0..64).map(|at| 1000 + at * 311).collect();
    let texts = [&short[..], &long, &short[..2]];
    let [floats, best] = [Arithmetic::Floats, Kernels::default().arithmetic()].map(|arithmetic| {
        let network = weights::read(&onnx, arithmetic).unwrap();
        network.states(&texts).unwrap()
    });
    assert_eq!(floats.len(), (5 + 64 + 2) * DIMENSIONS);
    assert_eq!(floats.len(), best.len());
    for (one, other) in floats.iter().zip(&best) {
        // States spread around one or so. Measured: 0.0009.
        assert!((one - other).abs() < 0.005, "{one} {other}");
    }
}

#[test]
fn a_text_hears_nothing_of_the_others() {
    let network = Network::read(&onnx()).unwrap();
    let (one, other) = ([101_u16, 2129, 2079, 102], [101_u16, 1045, 102]);
    let alone = network.states(&[&one]).unwrap();
    let together = network.states(&[&other, &one, &other]).unwrap();
    let from = other.len() * DIMENSIONS;
    let among = &together[from..from + alone.len()];
    for (one, other) in alone.iter().zip(among) {
        assert!((one - other).abs() < 1e-4, "{one} {other}");
    }
}

#[test]
fn a_file_without_its_tensors_is_refused_by_name() {
    let Err(refused) = Network::read(&[]) else {
        unreachable!("an empty file has no weights");
    };
    let refused = refused.to_string();
    assert!(refused.contains("token_type_embeddings"), "{refused}");
    let mut cut = onnx();
    cut.truncate(1_000_000);
    assert!(Network::read(&cut).is_err());
}
