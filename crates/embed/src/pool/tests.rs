//! The pool with a model of a few lines: what it does when asked too much, too late, or in vain.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::*;

/// A model that says how long a text is, and what it was given at once.
#[derive(Default)]
struct Lengths {
    batches: Mutex<Vec<Vec<String>>>,
    /// Waits here before each batch, if there is one.
    gate: Option<Mutex<Receiver<()>>>,
}

impl Embed for Lengths {
    fn read(&self, texts: &[&str], _lane: &Lane) -> Result<Vec<Embedding>, ModelError> {
        let batch = texts.iter().map(|text| (*text).to_owned()).collect();
        self.batches.lock().unwrap().push(batch);
        if let Some(gate) = &self.gate {
            gate.lock().unwrap().recv().unwrap();
        }
        assert!(!texts.contains(&"panic"), "as asked");
        if texts.contains(&"fail") {
            return Err(ModelError::Run("as asked".into()));
        }
        let length = |text: &&str| Embedding {
            vector: Box::from([text.len() as f32]),
            pieces: Box::default(),
            states: Box::default(),
        };
        Ok(texts.iter().map(length).collect())
    }
}

type Answers = Receiver<Result<Embedding, PoolError>>;

fn pool(waiting_max: usize, load: Load) -> Pool {
    let settings = Settings {
        threads: NonZero::<usize>::MIN,
        waiting_max,
    };
    Pool::start(&settings, load, Box::new(|| Duration::ZERO)).unwrap()
}

fn loading(model: &Arc<Lengths>) -> Load {
    let model = model.clone();
    Box::new(move || Ok(model.clone()))
}

fn gated() -> (SyncSender<()>, Arc<Lengths>) {
    let (open, gate) = sync_channel(100);
    let model = Lengths {
        gate: Some(Mutex::new(gate)),
        ..Lengths::default()
    };
    (open, Arc::new(model))
}

fn ask(pool: &Pool, text: &str) -> (Ticket, Answers) {
    let (tell, answers) = sync_channel(1);
    let told: Told = Box::new(move |answer| tell.send(answer).unwrap_or(()));
    (pool.ask(text.into(), told).unwrap(), answers)
}

/// Until the pool's thread is at the gate with its first question.
fn until_it_is_at_work(model: &Lengths) {
    while model.batches.lock().unwrap().is_empty() {
        thread::yield_now();
    }
}

#[test]
fn a_question_is_told_its_vector() {
    let pool = pool(10, loading(&Arc::default()));
    let (_ticket, answers) = ask(&pool, "four");
    assert_eq!(answers.recv().unwrap().unwrap().vector[..], [4.0]);
}

#[test]
fn what_waits_goes_through_the_model_together_each_told_its_own() {
    let (open, model) = gated();
    let pool = pool(10, loading(&model));
    let first = ask(&pool, "1");
    until_it_is_at_work(&model);
    let waiting = ["22", "333", "4444"].map(|text| ask(&pool, text));
    for _ in 0..2 {
        open.send(()).unwrap();
    }
    assert_eq!(first.1.recv().unwrap().unwrap().vector[..], [1.0]);
    for ((_ticket, answers), length) in waiting.iter().zip([2.0, 3.0, 4.0]) {
        assert_eq!(answers.recv().unwrap().unwrap().vector[..], [length]);
    }
    assert_eq!(model.batches.lock().unwrap().len(), 2);
}

#[test]
fn a_full_queue_is_said_at_once() {
    let (open, model) = gated();
    let pool = pool(2, loading(&model));
    let first = ask(&pool, "first");
    until_it_is_at_work(&model);
    let (second, third) = (ask(&pool, "second"), ask(&pool, "third"));
    let refused = pool.ask("fourth".into(), Box::new(|_| {}));
    assert_eq!(refused.unwrap_err(), PoolError::Busy);
    // One that was taken back makes room, and is not embedded.
    drop(second);
    let fourth = ask(&pool, "fourth");
    for _ in 0..2 {
        open.send(()).unwrap();
    }
    for (_ticket, answers) in [first, third, fourth] {
        assert!(answers.recv().unwrap().is_ok());
    }
    let embedded = model.batches.lock().unwrap().concat();
    assert_eq!(embedded, ["first", "third", "fourth"]);
}

#[test]
fn a_failure_is_told_and_the_thread_lives_on() {
    let pool = pool(10, loading(&Arc::default()));
    for text in ["fail", "panic"] {
        let (_ticket, answers) = ask(&pool, text);
        let answer = answers.recv().unwrap();
        assert!(matches!(answer, Err(PoolError::Failed(_))), "{answer:?}");
    }
    let (_ticket, answers) = ask(&pool, "well");
    assert!(answers.recv().unwrap().is_ok());
}

#[test]
fn a_text_that_would_be_read_in_part_is_not_embedded() {
    let model = Arc::default();
    let pool = pool(10, loading(&model));
    let (_ticket, answers) = ask(&pool, &"word ".repeat(255));
    assert_eq!(answers.recv().unwrap(), Err(PoolError::TooLong));
    assert!(model.batches.lock().unwrap().is_empty());
}

#[test]
fn nothing_is_loaded_before_it_is_needed_and_once() {
    let loaded = Arc::new(AtomicUsize::new(0));
    let count = loaded.clone();
    let pool = pool(
        10,
        Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(Arc::<Lengths>::default())
        }),
    );
    assert_eq!(loaded.load(Ordering::Relaxed), 0);
    for text in ["a", "b"] {
        let (_ticket, answers) = ask(&pool, text);
        assert!(answers.recv().unwrap().is_ok());
    }
    assert_eq!(loaded.load(Ordering::Relaxed), 1);
}

#[test]
fn a_model_that_cannot_be_loaded_is_tried_again_after_a_while() {
    let tries = Arc::new(AtomicUsize::new(0));
    let seconds = Arc::new(AtomicUsize::new(0));
    let (count, time) = (tries.clone(), seconds.clone());
    let settings = Settings {
        threads: NonZero::<usize>::MIN,
        waiting_max: 10,
    };
    let load: Load = Box::new(move || {
        if count.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err("no file".into());
        }
        Ok(Arc::<Lengths>::default())
    });
    let time = Box::new(move || Duration::from_secs(time.load(Ordering::Relaxed) as u64));
    let pool = Pool::start(&settings, load, time).unwrap();
    let outcome = |at_s: usize| {
        seconds.store(at_s, Ordering::Relaxed);
        let (_ticket, answers) = ask(&pool, "text");
        answers.recv().unwrap().map(|_vector| ())
    };
    let unloaded = Err(PoolError::Unloaded("no file".into()));
    assert_eq!(outcome(0), unloaded);
    assert_eq!(outcome(29), unloaded);
    assert_eq!(tries.load(Ordering::Relaxed), 1);
    assert_eq!(outcome(30), Ok(()));
    assert_eq!(tries.load(Ordering::Relaxed), 2);
}

#[test]
fn whoever_waits_when_the_pool_goes_is_told() {
    let (open, model) = gated();
    let pool = pool(10, loading(&model));
    let first = ask(&pool, "first");
    until_it_is_at_work(&model);
    let (_ticket, answers) = ask(&pool, "second");
    drop(pool);
    assert_eq!(answers.recv().unwrap(), Err(PoolError::Closed));
    open.send(()).unwrap();
    assert!(first.1.recv().unwrap().is_ok());
}
