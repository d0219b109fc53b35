//! What was said in answer, as guards let it through and before masked values are put back: kept once,
//! for whoever reads it when the call settles. Nobody asks for it, nothing is kept.

use bytes::{Bytes, BytesMut};
use dialect::replay;
use dialect::transcript::Transcript;

/// Takes a word in each call, as long as nobody wants it.
#[derive(Default)]
pub struct Said(Option<Box<Wanted>>);

struct Wanted {
    bytes_max: usize,
    answer: Answer,
}

/// As much of it as passed.
#[derive(Default)]
enum Answer {
    #[default]
    Nothing,
    Whole(Bytes),
    Stream(Transcript),
    /// The beginning of one that is larger than the gateway holds.
    Large(BytesMut),
}

/// A document in the form of a unary answer.
#[derive(Default)]
pub struct Document {
    pub bytes: Option<Bytes>,
    /// Nothing of it is known to be missing.
    pub is_whole: bool,
}

impl Said {
    /// Keeps about so many bytes from now on; more if somebody else wants more.
    pub fn want(&mut self, bytes_max: usize) {
        if bytes_max == 0 {
            return;
        }
        let wanted = self.0.get_or_insert_with(|| {
            Box::new(Wanted {
                bytes_max,
                answer: Answer::Nothing,
            })
        });
        wanted.bytes_max = wanted.bytes_max.max(bytes_max);
    }

    pub fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// A unary answer.
    pub fn keep_whole(&mut self, answer: &Bytes) {
        if let Some(wanted) = &mut self.0 {
            wanted.answer = Answer::Whole(answer.clone());
        }
    }

    /// The next events of a stream.
    pub fn keep_events(&mut self, events: &[u8]) {
        let Some(wanted) = &mut self.0 else { return };
        if let Answer::Nothing = wanted.answer {
            wanted.answer = Answer::Stream(Transcript::new(wanted.bytes_max));
        }
        if let Answer::Stream(transcript) = &mut wanted.answer {
            transcript.push(events);
        }
    }

    /// The next of an answer that is larger than the gateway holds.
    pub fn keep_piece(&mut self, piece: &[u8]) {
        let Some(wanted) = &mut self.0 else { return };
        // One byte more than will be kept, so that a record says that it was cut.
        let bytes_max = wanted.bytes_max + 1;
        if let Answer::Nothing = wanted.answer {
            wanted.answer = Answer::Large(BytesMut::new());
        }
        if let Answer::Large(kept) = &mut wanted.answer {
            let room = bytes_max.saturating_sub(kept.len());
            kept.extend_from_slice(&piece[..piece.len().min(room)]);
        }
    }

    pub fn into_document(self) -> Document {
        let Some(wanted) = self.0 else {
            return Document::default();
        };
        match wanted.answer {
            Answer::Nothing => Document::default(),
            Answer::Whole(bytes) => Document {
                bytes: Some(bytes),
                is_whole: true,
            },
            Answer::Stream(transcript) => {
                let model = transcript.model().map(str::to_owned);
                let is_whole = !transcript.is_cut();
                let document = transcript.into_document();
                let named = document.map(|document| match &model {
                    Some(model) => replay::with_model(&document, model),
                    None => document,
                });
                Document {
                    bytes: named.map(Bytes::from),
                    is_whole,
                }
            }
            Answer::Large(kept) => Document {
                bytes: Some(kept.freeze()),
                is_whole: false,
            },
        }
    }
}
